// A split page before it is accepted: merge, cut, leave out, put right.
import { ask } from "./ask.js";
import { attempt, may, say } from "./frame.js";
import { t } from "./language.js";
import { find, node } from "./nodes.js";
import { change, cut, merge, paragraphs, pieceOf, sent } from "./pieces.js";

export function cutting({ closed }) {
  let steps = []; // lists of pieces, the last is what stands
  let file = null;
  let key = null;
  let editing = null;

  const standing = () => steps.at(-1);

  function open(found, from) {
    steps = [found.articles.map(pieceOf)];
    file = from;
    key = crypto.randomUUID();
    editing = null;
    find("cut-warnings").replaceChildren(...found.warnings.map((one) => node("li", {}, one)));
    find("cutting").hidden = false;
    paint();
    find("cutting-head").focus();
  }

  function take(pieces, focus) {
    if (pieces === standing()) return;
    steps.push(pieces);
    key = crypto.randomUUID(); // other pieces are another request
    paint();
    if (focus !== undefined) find("pieces").children[focus]?.querySelector("h3")?.focus();
  }

  function paint() {
    const pieces = standing();
    const kept = pieces.filter((one) => !one.left).length;
    find("cutting-head").textContent = t("cut.head", { n: pieces.length });
    find("accept").textContent = t("cut.accept", { n: kept });
    find("accept").disabled = !kept;
    find("step-back").disabled = steps.length < 2;
    find("pieces").replaceChildren(...pieces.map(drawPiece));
  }

  function drawPiece(piece, at) {
    const number = at + 1;
    const button = (key_, act, more = {}) =>
      node("button.second", { type: "button", onclick: act, ...more }, t(key_));
    const last = at + 1 === standing().length;
    const title = node("input.title", { value: piece.title, "aria-label": t("cut.title_of", { n: number }), placeholder: t("submit.title") });
    title.addEventListener("change", () => take(change(standing(), at, { title: title.value })));
    const signed = [piece.section, piece.place, piece.byline && t("cut.byline", { who: piece.byline }), piece.kind === "caption" ? t("kind.caption") : null];
    return node(
      piece.left ? "li.piece.left" : "li.piece",
      {},
      node("h3", { tabindex: -1 }, t("cut.number", { n: number })),
      title,
      node("p.meta", {}, ...signed.filter(Boolean).map((one) => node("span", {}, one))),
      editing === at ? drawEditor(piece, at) : drawText(piece, at),
      node(
        "p.row",
        {},
        last ? null : button("cut.merge", () => take(merge(standing(), at), at), { class: "merge" }),
        editing === at ? null : button("cut.edit", () => edit(at), { class: "second" }),
        button(piece.left ? "cut.keep" : "cut.drop", () => take(change(standing(), at, { left: !piece.left }), at), { class: "plain" }),
      ),
    );
  }

  function drawText(piece, at) {
    const lines = paragraphs(piece.text).map(([offset, line], place) => {
      const knife =
        place === 0 && !piece.title
          ? null
          : node("button.knife", { type: "button", onclick: () => take(cut(standing(), at, offset), at + 1) }, t("cut.cut"));
      return [knife, node("p", {}, line)];
    });
    return node("div.copy", { lang: "zh-CN" }, ...lines);
  }

  function drawEditor(piece, at) {
    const field = node("textarea", { rows: 12, "aria-label": t("cut.text_of", { n: at + 1 }) });
    field.value = piece.text;
    const done = () => {
      editing = null;
      if (field.value === piece.text) paint();
      else take(change(standing(), at, { text: field.value }), at);
    };
    const atCaret = () => {
      editing = null;
      take(cut(change(standing(), at, { text: field.value }), at, field.selectionStart), at + 1);
    };
    return node(
      "div.editor",
      {},
      field,
      node(
        "p.row",
        {},
        node("button", { type: "button", onclick: done }, t("cut.edited")),
        node("button.second", { type: "button", onclick: atCaret }, t("cut.at_caret")),
      ),
    );
  }

  function edit(at) {
    editing = at;
    paint();
    find("pieces").children[at].querySelector("textarea").focus();
  }

  async function accept() {
    const articles = standing().filter((one) => !one.left).map(sent);
    find("accept").disabled = true;
    await attempt(async () => {
      let body = { articles, together: true };
      if (file) {
        body = new FormData();
        body.append("files", file);
        body.append("articles", JSON.stringify(articles));
      }
      const { submissions } = await ask("POST", "/v1/submissions", body, { "Idempotency-Key": key });
      sessionStorage.setItem("gaoqian.said", t("cut.done", { n: submissions.length }));
      const { page } = submissions[0];
      steps = []; // nothing is left here to lose
      location.assign(page ? `/queue?page=${page}` : "/queue");
    });
    find("accept").disabled = false;
  }

  function close() {
    find("cutting").hidden = true;
    steps = [];
    closed();
  }

  find("accept").addEventListener("click", accept);
  find("step-back").addEventListener("click", () => {
    steps.pop();
    key = crypto.randomUUID();
    editing = null;
    paint();
  });
  find("discard").addEventListener("click", () => {
    close();
    say(t("cut.discarded"));
  });
  addEventListener("beforeunload", (event) => {
    if (steps.length > 1 && may("editor") && !find("accept").disabled) event.preventDefault();
  });

  return { open };
}
