// 存疑标注: labels that are probably wrong, each with one key to keep or change.
import { ask } from "./ask.js";
import { bench } from "./bench.js";
import { attempt, may, say } from "./frame.js";
import { listen } from "./keys.js";
import { percent, t } from "./language.js";
import { find, node } from "./nodes.js";
import { nameOf } from "./taxonomy.js";

const { subject, withdraw, put, standing, decision, digits, digitLine } = bench();
let suspects = [];
let place = 0;
const answered = []; // on this page, the latest last

// A labelled article in the shape of a slip.
function slipOf(one) {
  return {
    ...one,
    version: 1,
    said: t("suspects.standing"),
    hint: "",
    state: "settled",
    section: null,
    byline: null,
    themes_by: "",
    scores: { [one.theme]: one.probability },
    coverage: null,
    model: null,
    evidence: null,
    evidence_missing: "",
    taggings: [],
    history: [],
    same: [],
    warnings: [],
    names: [],
    source: "",
    by: "",
  };
}

function show(at) {
  withdraw();
  find("desk").hidden = !suspects.length;
  find("why").hidden = !suspects.length;
  find("notice").hidden = suspects.length > 0;
  find("notice").textContent = suspects.length ? "" : t("suspects.none");
  if (!suspects.length) {
    find("position").textContent = "";
    return;
  }
  place = Math.max(0, Math.min(suspects.length - 1, at));
  const one = suspects[place];
  find("position").textContent = t("suspects.position", { n: place + 1, all: suspects.length });
  const words = one.labelled ? "suspects.labelled" : "suspects.unlabelled";
  find("why").replaceChildren(node("b", {}, nameOf(one.theme)), ` ${t(words, { p: percent(one.probability) })}`);
  find("history").hidden = true;
  find("flip").firstChild.textContent = `${t(one.labelled ? "suspects.take" : "suspects.give", { theme: nameOf(one.theme) })} `;
  put(slipOf(one), { editable: true });
}

async function answer(one, body) {
  if (!one || one.id !== standing()?.id || !body) return;
  withdraw();
  const { title } = standing();
  const done = await attempt(async () => {
    await ask("POST", "/v1/suspects", { id: one.id, ...body });
    return true;
  });
  if (done) {
    answered.push(...suspects.filter((other) => other.id === one.id));
    suspects = suspects.filter((other) => other.id !== one.id);
    say(t(body.action === "keep" ? "suspects.kept" : "suspects.changed", { title: title || t("queue.untitled") }));
  }
  show(place);
}

function settle(one) {
  const meant = decision();
  if (!meant) return undefined;
  return answer(one, meant.action === "confirm" ? { action: "keep" } : { action: "change", themes: meant.themes ?? [] });
}

function flip(one) {
  const found = suspects.find((other) => other.id === one?.id);
  if (!found) return undefined;
  const rest = found.themes.filter((slug) => slug !== found.theme);
  return answer(one, { action: "change", themes: found.labelled ? rest : [...rest, found.theme] });
}

async function undo() {
  const last = answered.at(-1);
  if (!last) return say(t("suspects.no_undo"));
  withdraw();
  const done = await attempt(async () => {
    await ask("POST", "/v1/suspects", { id: last.id, action: "undo" });
    return true;
  });
  if (done) {
    answered.pop();
    suspects.splice(place, 0, last);
    say(t("suspects.undone", { title: last.title || t("queue.untitled") }));
  }
  show(place);
}

find("keep").addEventListener("click", (event) => settle(subject(event)));
find("flip").addEventListener("click", (event) => flip(subject(event)));
find("next").addEventListener("click", (event) => subject(event) && show(place + 1));
find("previous").addEventListener("click", (event) => subject(event) && show(place - 1));

listen(
  {
    ...digits,
    Enter: (event) => settle(subject(event)),
    x: (event) => flip(subject(event)),
    u: undo,
    j: (event) => subject(event) && show(place + 1),
    k: (event) => subject(event) && show(place - 1),
  },
  [["Enter", "key.keep"], ["x", "key.flip"], ["u", "key.undo"], ...digitLine, ["j k", "key.jk"]],
);

find("only-editors").hidden = may("editor");
if (may("editor")) {
  await attempt(async () => {
    ({ suspects } = await ask("GET", "/v1/suspects"));
    show(0);
  });
}
