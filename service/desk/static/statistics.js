// 发稿统计: who sent how much, from where, of what.
import { ask } from "./ask.js";
import { attempt } from "./frame.js";
import { t } from "./language.js";
import { bar, find, node } from "./nodes.js";

const form = find("span");
const BEIJING = new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Shanghai" });

function spanOf(search = location.search) {
  const there = new URLSearchParams(search);
  return Object.fromEntries(["from", "to"].map((name) => [name, there.get(name) ?? ""]));
}

async function show(span) {
  const asked = new URLSearchParams(Object.entries(span).filter(([, day]) => day)).toString();
  const search = asked ? `?${asked}` : "";
  form.elements.from.value = span.from;
  form.elements.to.value = span.to;
  history.replaceState(null, "", `/statistics${search}`);
  find("xlsx").href = `/v1/statistics.xlsx${search}`;
  await attempt(async () => {
    const { tables } = await ask("GET", `/v1/statistics${search}`);
    const some = tables.filter((table) => table.rows.length > 1);
    find("tables").replaceChildren(...(some.length ? some.map(draw) : [node("p", {}, t("stats.empty"))]));
  });
  find("tables").removeAttribute("aria-busy");
}

// Columns: what, received, settled, then a month each; the last row is the sum.
function draw(table) {
  const rows = table.rows.slice(0, -1);
  const most = Math.max(1, ...rows.map((row) => row[1]));
  const line = (row, place) =>
    node(
      place === rows.length ? "tr.sum" : "tr",
      {},
      node("th", { scope: "row" }, row[0]),
      node("td.drawn", {}, place === rows.length ? null : bar(row[1] / most, "bar received"), place === rows.length ? null : bar(row[2] / most, "bar done")),
      ...row.slice(1).map((value) => node(value ? "td.number" : "td.number.zero", {}, value)),
    );
  return node(
    "section.sheet",
    { data: { by: table.by } },
    node("h2", {}, table.title),
    node(
      "div.wide",
      { tabindex: 0, role: "region", "aria-label": table.title },
      node(
        "table",
        {},
        node("thead", {}, node("tr", {}, node("th", { scope: "col" }, table.head[0]), node("td"), ...table.head.slice(1).map((one) => node("th.number", { scope: "col" }, one)))),
        node("tbody", {}, ...table.rows.map(line)),
      ),
    ),
  );
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", () => show({ from: form.elements.from.value, to: form.elements.to.value }));
form.addEventListener("click", (event) => {
  const span = event.target.dataset.span;
  if (span === undefined) return;
  const today = BEIJING.format(new Date());
  const from = { month: `${today.slice(0, 7)}-01`, year: `${today.slice(0, 4)}-01-01`, "": "" }[span];
  show({ from, to: "" });
});

await show(spanOf());
