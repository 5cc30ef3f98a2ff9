// 今日待审: as many articles as there are minutes, each with the reason why it is here.
//
// What was drawn for the audit comes from the service without a word of the model, and nothing of
// it is asked for elsewhere until the editor has answered.
import { ask } from "./ask.js";
import { bench } from "./bench.js";
import { undo } from "./bulk.js";
import { attempt, may, say } from "./frame.js";
import { holdLock } from "./hold.js";
import { listen } from "./keys.js";
import { t } from "./language.js";
import { find, node } from "./nodes.js";
import { showAlarms, showLive } from "./promises.js";
import { nameOf } from "./taxonomy.js";

const BUDGETS = [10, 20, 40];
const CHOICE = "gaoqian.minutes";
const WHYS = ["contradictory", "unsure", "unfamiliar", "audit"];

const lock = holdLock();
const { subject, withdraw, put, release, standing, decision, digits, digitLine } = bench();
let items = [];
let waiting = 0;
let place = 0;
const done = new Set();

function minutes() {
  const chosen = Number(localStorage.getItem(CHOICE));
  return BUDGETS.includes(chosen) ? chosen : 20;
}

function drawBudget() {
  find("budget").replaceChildren(
    find("budget").querySelector("legend"),
    ...BUDGETS.map((each) =>
      node(
        "label.check",
        {},
        node("input", { type: "radio", name: "minutes", value: each, checked: each === minutes(), onchange: () => begin(each) }),
        t("today.minutes", { n: each }),
      ),
    ),
  );
}

async function begin(budget) {
  localStorage.setItem(CHOICE, BUDGETS.includes(budget) ? budget : minutes());
  withdraw();
  const told = await attempt(() => ask("GET", `/v1/today?minutes=${budget}`));
  if (!told) return;
  ({ items, waiting } = told);
  done.clear();
  const mix = WHYS.map((why) => [why, items.filter((item) => item.why === why).length]).filter(([, count]) => count);
  find("mix").textContent = mix.map(([why, count]) => `${t(`why.${why}`)} ${count}`).join(" · ");
  await (items.length ? show(0) : close());
}

// Of a blind article there is nothing but the article.
function veiled(article) {
  return {
    ...article,
    blind: true,
    said: t("today.blind"),
    hint: t("today.blind_hint"),
    state: "blind",
    themes: [],
    themes_by: "",
    scores: null,
    coverage: null,
    model: null,
    evidence: null,
    evidence_missing: "",
    taggings: [],
    history: [],
    same: [],
    settled: null,
  };
}

async function show(at, { notice = "" } = {}) {
  withdraw();
  place = at;
  const item = items[at];
  tellWhere(item);
  const told = await attempt(() => ask("GET", `/v1/today/${item.id}`));
  if (!told) return release();
  find("closing").hidden = true;
  find("desk").hidden = false;
  const one = told.slip ?? veiled(told.article);
  tellNotice(notice);
  put(one, { editable: !one.twin_of });
  find("history").hidden = Boolean(one.blind);
  find("pin").hidden = one.state !== "settled";
  const held = await lock.take(item.id);
  if (held && standing()?.id === item.id) tellNotice(held);
}

function tellWhere(item) {
  find("position").textContent = t("today.position", { n: place + 1, all: items.length, done: done.size });
  find("progress").max = items.length;
  find("progress").value = done.size;
  find("why").hidden = false;
  find("why").className = `why why-${item.why}`;
  find("why").replaceChildren(node("b", {}, t(`why.${item.why}`)), ` ${item.why === "audit" ? t("today.audit") : `${item.sentence}。`}`);
}

function tellNotice(words) {
  find("notice").hidden = !words;
  find("notice").textContent = words;
}

async function review(one, body, words) {
  if (!one || one.id !== standing()?.id) return;
  if (!body) {
    say(t("today.choose"));
    return;
  }
  const { title, blind } = standing();
  withdraw();
  try {
    await ask("POST", `/v1/submissions/${one.id}/review`, { ...body, version: one.version });
  } catch (refusal) {
    await show(place, { notice: refusal.status === 412 ? t("slip.outdated") : refusal.message });
    return;
  }
  lock.forget(one.id);
  done.add(one.id);
  say(blind && body.action !== "unsure" ? await compared(one.id, body.themes ?? []) : t(words, { title: title || t("queue.untitled") }));
  await next();
}

// What the model had said, now that it can be told.
async function compared(id, themes) {
  const { slip } = await ask("GET", `/v1/today/${id}`);
  const model = slip?.taggings.at(-1)?.themes ?? [];
  const same = model.length === themes.length && model.every((slug) => themes.includes(slug));
  const named = model.map(nameOf).join("、") || t("no_theme");
  return t(same ? "today.agreed" : "today.differed", { themes: named });
}

async function next() {
  const open = (at) => !done.has(items[at].id);
  const order = [...items.keys()];
  const at = [...order.slice(place + 1), ...order.slice(0, place + 1)].find(open);
  await (at === undefined ? close() : show(at));
}

async function step(one, by) {
  const at = place + by;
  if (!one) return;
  if (items[at]) await show(at);
  else say(t(by > 0 ? "today.last" : "slip.first"));
}

async function stepBack(one) {
  if (!one && find("closing").hidden) return;
  withdraw();
  const batch = await attempt(undo);
  const at = items.findIndex((item) => item.id === batch?.done[0]);
  for (const id of batch?.done ?? []) done.delete(id);
  await show(at < 0 ? place : at);
}

async function close() {
  find("desk").hidden = true;
  find("why").hidden = true;
  tellNotice("");
  find("position").textContent = t("today.position", { n: done.size, all: items.length, done: done.size });
  find("progress").max = Math.max(1, items.length);
  find("progress").value = done.size;
  find("closing").hidden = false;
  find("closing-head").textContent = items.length ? t("today.enough", { n: items.length }) : t("today.nothing");
  const left = Math.max(0, waiting - items.filter((item) => item.why !== "audit" && done.has(item.id)).length);
  find("closing-said").textContent = left ? t("today.left", { n: left }) : t("today.none_left");
  find("closing-head").focus();
  await attempt(() => Promise.all([showLive(), showAlarms()]));
}

const settle = (one) => review(one, decision(), "slip.settled_one");
const doubt = (one) => review(one, { action: "unsure" }, "slip.unsure_one");

find("confirm").addEventListener("click", (event) => settle(subject(event)));
find("unsure").addEventListener("click", (event) => doubt(subject(event)));
find("undo").addEventListener("click", (event) => stepBack(subject(event)));
find("next").addEventListener("click", (event) => step(subject(event), 1));
find("previous").addEventListener("click", (event) => step(subject(event), -1));
find("again").addEventListener("click", () => begin(BUDGETS[0]));

listen(
  {
    ...digits,
    Enter: (event) => settle(subject(event)),
    s: (event) => doubt(subject(event)),
    u: (event) => stepBack(subject(event)),
    j: (event) => step(subject(event), 1),
    k: (event) => step(subject(event), -1),
  },
  [...digitLine, ["Enter", "key.enter"], ["s", "key.s"], ["u", "key.u"], ["j k", "key.jk"]],
);

find("only-editors").hidden = may("editor");
find("round").hidden = !may("editor");
if (may("editor")) {
  drawBudget();
  await begin(minutes());
}
