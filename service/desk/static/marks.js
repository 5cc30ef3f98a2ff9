// The telling words of an article, marked where they stand.
import { t } from "./language.js";
import { node } from "./nodes.js";
import { colourOf, nameOf } from "./taxonomy.js";

const FAINT = 0.08; // of the strongest reason for the same theme; weaker ones are noise to a reader

// Cut a text at every edge of a reason; each piece knows all the reasons it stands in.
export function segments(text, reasons) {
  const letters = Array.from(text); // the service counts characters, JavaScript UTF-16 units
  const inside = reasons.filter((one) => 0 <= one.start && one.start < one.end && one.end <= letters.length);
  const edges = [...new Set([0, letters.length, ...inside.flatMap((one) => [one.start, one.end])])].sort((a, b) => a - b);
  return edges.slice(0, -1).map((start, place) => {
    const end = edges[place + 1];
    return {
      text: letters.slice(start, end).join(""),
      reasons: inside.filter((one) => one.start <= start && end <= one.end),
    };
  });
}

export function worthMarking(evidence) {
  const strongest = {};
  for (const one of evidence) strongest[one.theme] = Math.max(strongest[one.theme] ?? 0, one.weight);
  return evidence.filter((one) => one.weight > FAINT * strongest[one.theme]);
}

function drawn(text, reasons) {
  if (!reasons.length) return text;
  const strongest = reasons.toSorted((a, b) => b.weight - a.weight);
  return node("mark", { data: { themes: strongest.map((one) => one.theme).join(" ") } }, text);
}

export function mark(target, text, reasons) {
  target.replaceChildren(...segments(text, reasons).map((piece) => drawn(piece.text, piece.reasons)));
}

// The same, each line a paragraph.
export function markLines(target, text, reasons) {
  const lines = [node("p")];
  for (const piece of segments(text, reasons)) {
    const [first, ...others] = piece.text.split("\n");
    if (first) lines.at(-1).append(drawn(first, piece.reasons));
    for (const line of others) {
      lines.push(node("p"));
      if (line) lines.at(-1).append(drawn(line, piece.reasons));
    }
  }
  target.replaceChildren(...lines.filter((line) => line.textContent.trim()));
}

// Light the marks of some themes; each shows the first of its own that is among them.
export function light(target, slugs) {
  for (const one of target.querySelectorAll("mark")) {
    const theme = one.dataset.themes.split(" ").find((slug) => slugs.has(slug));
    one.className = theme ? `lit ${colourOf(theme)}` : "";
    one.title = theme ? nameOf(theme) : "";
  }
}

export function hint(evidence, missing) {
  return evidence === null ? t("slip.no_reasons", { why: missing }) : evidence.length ? t("slip.marks_hint") : "";
}
