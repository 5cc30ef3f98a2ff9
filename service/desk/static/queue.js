// 收件: what came in, the doubtful first.
import { ask } from "./ask.js";
import { bulk } from "./bulk.js";
import { FILTERS, readFilters, written } from "./filters.js";
import { attempt, may, say } from "./frame.js";
import { listen } from "./keys.js";
import { has, t } from "./language.js";
import { find, node } from "./nodes.js";
import { follow } from "./news.js";
import { row } from "./row.js";
import { nameOf, themes } from "./taxonomy.js";

const SHOWN = 50;
const STATES = ["review", "unsure", "auto", "none", "settled", "new"];

const list = find("list");
const form = find("filters");
const more = find("more");
let filters = readFilters();
let at = ""; // the moment the list was shown
let cursor = null;
let counted = 0;
let round = 0; // answers to an older question are thrown away

const chosen = bulk({
  query: () => ({ filters, at, counted }),
  shown: () => [...list.children],
  changed: () => show(),
});

function fillForm() {
  for (const name of FILTERS) {
    const field = form.elements[name];
    if (!field) continue;
    if (field.type === "checkbox") field.checked = name in filters;
    else field.value = filters[name] ?? "";
  }
  form.elements.page.value = filters.page ?? "";
  find("page-filter").hidden = !filters.page;
  const rare = ["place", "name", "source", "decision", "from", "to", "twins"];
  if (rare.some((name) => filters[name])) find("more-filters").open = true;
  find("clear").hidden = !Object.keys(filters).length;
}

function readForm() {
  const found = {};
  for (const name of FILTERS) {
    const field = form.elements[name];
    const unchecked = field?.type === "checkbox" && !field.checked;
    const value = field ? !unchecked && field.value.trim() : filters[name];
    if (value) found[name] = value;
  }
  return found;
}

function go(wanted) {
  filters = wanted;
  history.pushState(null, "", `/queue${written(filters)}`);
  chosen.clear();
  fillForm();
  return show();
}

async function tell() {
  const facets = await ask("GET", "/v1/facets");
  const whole = Object.values(facets.states).reduce((sum, count) => sum + count, 0);
  const { state, ...rest } = filters;
  const tab = (one, count) =>
    node(
      "a",
      { href: `/queue${written(one ? { ...rest, state: one } : rest)}`, "aria-current": state === one ? "page" : null, data: { state: one ?? "" } },
      t(`state.${one ?? "all"}`),
      node("span.number", {}, count),
    );
  const shown = STATES.filter((one) => one !== "new" || facets.states.new);
  find("states").replaceChildren(tab(undefined, whole), ...shown.map((one) => tab(one, facets.states[one] ?? 0)));
  const options = (values, shownAs = (value) => value) =>
    values.map(({ value, count }) => node("option", { value, label: `${shownAs(value)}（${count}）` }, shownAs(value)));
  find("places").replaceChildren(...options(facets.places));
  find("names").replaceChildren(...options(facets.names));
  find("sources").replaceChildren(...options(facets.sources, (one) => (has(`source.${one}`) ? t(`source.${one}`) : one)));
  const choice = form.elements.theme;
  const slugs = [...new Set([...themes.map((theme) => theme.slug), ...facets.themes.map((one) => one.value)])];
  const counts = Object.fromEntries(facets.themes.map((one) => [one.value, one.count]));
  choice.replaceChildren(
    node("option", { value: "" }, t("any")),
    ...slugs.map((slug) => node("option", { value: slug }, `${nameOf(slug)}（${counts[slug] ?? 0}）`)),
  );
  choice.value = filters.theme ?? "";
  return whole;
}

async function show() {
  const mine = ++round;
  list.setAttribute("aria-busy", "true");
  await attempt(async () => {
    const [found, whole] = await Promise.all([
      ask("GET", `/v1/submissions${written(filters, { limit: SHOWN, count: true })}`),
      tell(),
    ]);
    if (mine !== round) return;
    ({ at, cursor } = found);
    counted = found.count;
    const focused = document.activeElement?.closest?.("#list > li")?.dataset.id;
    list.replaceChildren(...found.submissions.map(drawRow));
    if (!found.submissions.length) list.append(nothing(whole));
    more.hidden = !cursor;
    find("count").textContent = counted >= 10000 ? t("queue.count_more", { n: counted }) : t("queue.count", { n: counted });
    const first = found.submissions.find((one) => !one.lock && !one.twin_of);
    find("start").hidden = !first || !may("editor");
    if (first) find("start").href = `/slips/${first.id}${written(filters)}`;
    for (const kind of ["xlsx", "csv", "jsonl"]) find(`export-${kind}`).href = `/v1/submissions.${kind}${written(filters)}`;
    find("news").hidden = true;
    chosen.repaint();
    if (focused) linkOf(list.querySelector(`[data-id="${focused}"]`))?.focus();
  });
  if (mine === round) list.removeAttribute("aria-busy");
}

function nothing(whole) {
  const empty = !whole && !Object.keys(filters).length;
  return node(
    "li.nothing",
    {},
    node("p", {}, t(empty ? "queue.empty_all" : "queue.empty")),
    empty && may("editor") ? node("p", {}, node("a.button", { href: "/submit" }, t("queue.empty_go"))) : null,
  );
}

function drawRow(one) {
  return row(one, { filters, selectable: may("editor"), onselect: chosen.toggled });
}

async function showMore() {
  const mine = round;
  more.disabled = true;
  await attempt(async () => {
    const found = await ask("GET", `/v1/submissions${written(filters, { limit: SHOWN, cursor })}`);
    if (mine !== round) return;
    cursor = found.cursor;
    const rows = found.submissions.map(drawRow);
    list.append(...rows);
    more.hidden = !cursor;
    chosen.repaint();
    linkOf(rows[0])?.focus();
  });
  more.disabled = false;
}

function linkOf(item) {
  return item?.querySelector("h2 a");
}

function current() {
  return document.activeElement?.closest?.("#list > li");
}

function step(by) {
  const rows = [...list.querySelectorAll(":scope > li[data-id]")];
  const place = rows.indexOf(current());
  const next = rows[place < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, place + by))];
  linkOf(next)?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(readForm());
});
form.addEventListener("change", () => go(readForm()));
form.addEventListener("reset", (event) => {
  event.preventDefault();
  go({});
});
find("states").addEventListener("click", (event) => {
  const tab = event.target.closest("a");
  if (!tab || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const { state, ...rest } = filters;
  go(tab.dataset.state ? { ...rest, state: tab.dataset.state } : rest);
});
addEventListener("popstate", () => {
  filters = readFilters();
  chosen.clear();
  fillForm();
  show();
});
more.addEventListener("click", showMore);
find("news").addEventListener("click", show);

listen(
  {
    j: () => step(1),
    k: () => step(-1),
    x: () => current() && chosen.flip(current()),
    r: () => show(),
    "/": () => find("search").focus(),
    u: () => may("editor") && chosen.undo(),
    Enter: () => !find("start").hidden && find("start").click(),
  },
  [
    ["j k", "key.jk"],
    ["Enter", "key.open"],
    ["x", "key.x"],
    ["u", "key.u"],
    ["r", "key.refresh"],
    ["/", "key.slash"],
  ],
);

fillForm();
await show();

// What arrives is shown at once, unless a hand is on the list: rows must not move under it.
follow(async (news) => {
  const busy = current() || chosen.any() || list.matches(":hover") || scrollY > 200;
  if (!busy) {
    await show();
    return true;
  }
  const button = find("news");
  button.hidden = false;
  button.textContent = t("queue.news", { n: news });
  return false;
});

if (location.hash === "#search") find("search").focus();

if (sessionStorage.getItem("gaoqian.said")) {
  say(sessionStorage.getItem("gaoqian.said"));
  sessionStorage.removeItem("gaoqian.said");
}
