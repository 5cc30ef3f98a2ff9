// 稿签: one article, its slip beside it, and the keys that settle it.
//
// A key acts on the article that stands on the page, never on "the next one": the element #article
// carries the id and version that were painted, from painting until something is done. Between two
// articles it carries none and keys do nothing; so does a key struck before the painting was seen.
import { ask } from "./ask.js";
import { undo } from "./bulk.js";
import { readFilters, written } from "./filters.js";
import { attempt, may, say } from "./frame.js";
import { holdLock } from "./hold.js";
import { listen } from "./keys.js";
import { t } from "./language.js";
import { find } from "./nodes.js";
import { paint } from "./paint.js";
import { roundOf } from "./round.js";
import { themes } from "./taxonomy.js";

const article = find("article");
const desk = find("desk");
const filters = readFilters();
const round = roundOf(filters, desk.dataset.start);
const lock = holdLock();

let seenFrom = Infinity; // when what is on the page was first seen, on the clock of events
let draft = null; // {id, slugs, standing}

find("back").href = `/queue${written(filters)}`;

// The article as it is on the page for an event, or null where there is none to act on.
function subject(event) {
  const { id, version } = article.dataset;
  if (!id || event.timeStamp < seenFrom) return null;
  return { id, version: Number(version) };
}

function withdraw() {
  delete article.dataset.id;
  delete article.dataset.version;
  seenFrom = Infinity;
  desk.setAttribute("aria-busy", "true");
}

function bind(one) {
  requestAnimationFrame(() =>
    requestAnimationFrame((now) => {
      article.dataset.id = one.id;
      article.dataset.version = one.version;
      seenFrom = now;
      desk.removeAttribute("aria-busy");
    }),
  );
}

async function show(id, { push = true, notice = "" } = {}) {
  withdraw();
  let one;
  try {
    one = await ask("GET", `/v1/submissions/${id}`);
  } catch (refusal) {
    tellNotice(refusal.status === 404 ? t("slip.missing") : refusal.message);
    desk.removeAttribute("aria-busy");
    return;
  }
  if (push) history.pushState(null, "", `/slips/${id}${written(filters)}`);
  round.visit(id);
  draft = { id, slugs: new Set(one.themes), standing: one };
  paint(one, draft.slugs, { editable: may("editor") && !one.twin_of, toggle });
  tellNotice(notice || (one.twin_of ? t("slip.twin") : ""), one.twin_of);
  scrollTo(0, 0);
  bind(one);
  if (may("editor") && !one.twin_of) {
    const held = await lock.take(id);
    if (held && draft.id === id) tellNotice(held);
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

function toggle(slug, one) {
  if (!one || one.id !== draft.id || !may("editor") || draft.standing.twin_of) return;
  if (slug === null) draft.slugs.clear();
  else if (!draft.slugs.delete(slug)) draft.slugs.add(slug);
  paint(draft.standing, draft.slugs, { editable: true, toggle });
}

function sameAsStanding() {
  const { standing, slugs } = draft;
  return standing.state !== "new" && slugs.size === standing.themes.length && standing.themes.every((slug) => slugs.has(slug));
}

function decision() {
  if (sameAsStanding()) return { action: "confirm" };
  if (!draft.slugs.size) return { action: "none" };
  const order = themes.map((theme) => theme.slug);
  return { action: "set", themes: [...draft.slugs].sort((a, b) => order.indexOf(a) - order.indexOf(b)) };
}

async function review(one, body, words) {
  if (!one || one.id !== draft?.id || !may("editor")) return;
  const { title } = draft.standing;
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

const digits = Object.fromEntries(
  themes.slice(0, 9).map((theme, place) => [String(place + 1), (event) => toggle(theme.slug, subject(event))]),
);

listen(
  {
    ...digits,
    0: (event) => toggle(null, subject(event)),
    Enter: (event) => settle(subject(event)),
    s: (event) => doubt(subject(event)),
    u: (event) => stepBack(subject(event)),
    j: (event) => move(subject(event), 1),
    k: (event) => move(subject(event), -1),
    "/": () => location.assign(`/queue${written(filters)}#search`),
  },
  [
    [`1 … ${Math.max(1, Math.min(9, themes.length))}`, "key.digits"],
    ["0", "key.zero"],
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

await show(desk.dataset.start, { push: false });
