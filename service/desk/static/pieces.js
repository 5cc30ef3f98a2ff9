// A page as its pieces, and what can be done to them; every step gives new pieces and loses no
// character, so that going back is taking the list before.

const SENTENCE_ENDS = /[。！？!?…：:；;”’"）)】》]$/;
const LONGEST_TITLE = 40;

export function pieceOf(article) {
  const { title, text, byline, place, section, kind } = article;
  return { title, text, byline, place, section, kind, left: false };
}

// A piece with the next: the headline of the next becomes a paragraph; a sentence cut by the page
// is made whole again.
export function merge(pieces, at) {
  const [one, next] = [pieces[at], pieces[at + 1]];
  if (!next) return pieces;
  const text = one.text.trimEnd();
  const whole = !next.title && text && !SENTENCE_ENDS.test(text);
  const rest = [next.title, next.text].filter(Boolean).join("\n");
  const kind = one.kind === "caption" && next.kind === "caption" ? "caption" : "article";
  const merged = {
    ...one,
    text: text ? text + (whole ? "" : "\n") + rest : rest,
    byline: one.byline ?? next.byline,
    place: one.place ?? next.place,
    kind,
    left: false,
  };
  return [...pieces.slice(0, at), merged, ...pieces.slice(at + 2)];
}

// A piece in two, before a character of its text; a short first line of the second is its headline.
export function cut(pieces, at, offset) {
  const one = pieces[at];
  const before = one.text.slice(0, offset).trimEnd();
  const after = one.text.slice(offset).trim();
  if (!after || !(before || one.title)) return pieces;
  const [first, ...others] = after.split("\n");
  const rest = others.join("\n").trim();
  const headed = rest && first.length <= LONGEST_TITLE && !SENTENCE_ENDS.test(first.trim());
  const second = {
    title: headed ? first.trim() : "",
    text: headed ? rest : after,
    byline: null, // the service finds them in the text
    place: null,
    section: one.section,
    kind: "article",
    left: false,
  };
  return [...pieces.slice(0, at), { ...one, text: before }, second, ...pieces.slice(at + 1)];
}

export function change(pieces, at, changes) {
  return pieces.map((one, place) => (place === at ? { ...one, ...changes } : one));
}

// Where paragraphs begin: [offset, text] of each line that is not empty.
export function paragraphs(text) {
  const found = [];
  let offset = 0;
  for (const line of text.split("\n")) {
    if (line.trim()) found.push([offset, line]);
    offset += line.length + 1;
  }
  return found;
}

// A piece as it is sent; one without a text of its own is sent with its headline as text.
export function sent(piece) {
  const { title, text, byline, place, section, kind } = piece;
  const own = text.trim() ? { title, text } : { title: "", text: title };
  return { ...own, byline, place, section, kind };
}
