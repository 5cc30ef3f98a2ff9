// 稿签: one article, its slip beside it, and the keys that settle it.
import { ask } from "./ask.js";
import { bench } from "./bench.js";
import { undo } from "./bulk.js";
import { readFilters, written } from "./filters.js";
import { attempt, may, say } from "./frame.js";
import { holdLock } from "./hold.js";
import { listen } from "./keys.js";
import { t } from "./language.js";
import { find } from "./nodes.js";
import { roundOf } from "./round.js";

const { start } = find("desk").dataset;
const filters = readFilters();
const round = roundOf(filters, start);
const lock = holdLock();
const { subject, withdraw, put, release, standing, decision, digits, digitLine } = bench();

find("back").href = `/queue${written(filters)}`;

async function show(id, { push = true, notice = "" } = {}) {
  withdraw();
  let one;
  try {
    one = await ask("GET", `/v1/submissions/${id}`);
  } catch (refusal) {
    tellNotice(refusal.status === 404 ? t("slip.missing") : refusal.message);
    release();
    return;
  }
  if (push) history.pushState(null, "", `/slips/${id}${written(filters)}`);
  round.visit(id);
  tellNotice(notice || (one.twin_of ? t("slip.twin") : ""), one.twin_of);
  put(one, { editable: may("editor") && !one.twin_of });
  find("pin").hidden = one.state !== "settled";
  if (may("editor") && !one.twin_of) {
    const held = await lock.take(id);
    if (held && standing()?.id === id) tellNotice(held);
  }
}

function tellNotice(words, first) {
  const notice = find("notice");
  notice.hidden = !words;
  notice.textContent = words;
  if (!first) return;
  const link = document.createElement("a");
  link.href = `/slips/${first}`;
  link.textContent = t("slip.twin_go");
  notice.append(" ", link);
}

async function review(one, body, words) {
  if (!one || one.id !== standing()?.id || !may("editor")) return;
  const { title } = standing();
  withdraw();
  try {
    await round.begun;
    await ask("POST", `/v1/submissions/${one.id}/review`, { ...body, version: one.version });
  } catch (refusal) {
    const notice = refusal.status === 412 ? t("slip.outdated") : refusal.message;
    await show(one.id, { push: false, notice });
    return;
  }
  lock.forget(one.id);
  say(t(words, { title: title || t("queue.untitled") }));
  await move(one, 1);
}

async function move(one, by) {
  if (!one) return;
  withdraw();
  const id = await attempt(() => (by > 0 ? round.next(one.id) : round.previous(one.id)));
  if (id) {
    await show(id);
    return;
  }
  if (id === undefined) {
    await show(one.id, { push: false });
    return;
  }
  if (by > 0) {
    sessionStorage.setItem("gaoqian.said", t("slip.end"));
    location.assign(`/queue${written(filters)}`);
    return;
  }
  say(t("slip.first"));
  await show(one.id, { push: false });
}

async function stepBack(one) {
  if (!one || !may("editor")) return;
  withdraw();
  const batch = await attempt(undo);
  const [only] = batch?.done ?? [];
  const alone = only && batch.done.length === 1;
  await show(alone ? only : one.id, { push: alone && only !== one.id });
  if (alone) say(t("undo.back"));
}

const settle = (one) => review(one, decision(), "slip.settled_one");
const doubt = (one) => review(one, { action: "unsure" }, "slip.unsure_one");

find("confirm").addEventListener("click", (event) => settle(subject(event)));
find("unsure").addEventListener("click", (event) => doubt(subject(event)));
find("undo").addEventListener("click", (event) => stepBack(subject(event)));
find("next").addEventListener("click", (event) => move(subject(event), 1));
find("previous").addEventListener("click", (event) => move(subject(event), -1));

find("pin").addEventListener("click", (event) => {
  const one = subject(event);
  if (!one) return;
  attempt(async () => {
    await ask("POST", "/v1/pinned", { submission: one.id });
    say(t("slip.pinned"));
  });
});

listen(
  {
    ...digits,
    Enter: (event) => settle(subject(event)),
    s: (event) => doubt(subject(event)),
    u: (event) => stepBack(subject(event)),
    j: (event) => move(subject(event), 1),
    k: (event) => move(subject(event), -1),
    "/": () => location.assign(`/queue${written(filters)}#search`),
  },
  [
    ...digitLine,
    ["Enter", "key.enter"],
    ["s", "key.s"],
    ["u", "key.u"],
    ["j k", "key.jk"],
    ["/", "key.slash"],
  ],
);

addEventListener("popstate", () => {
  const id = /^\/slips\/(\w+)$/.exec(location.pathname)?.[1];
  if (id) show(id, { push: false });
});

await show(start, { push: false });
