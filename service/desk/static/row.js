// One line of the queue.
import { ask } from "./ask.js";
import { written } from "./filters.js";
import { attempt } from "./frame.js";
import { has, moment, t } from "./language.js";
import { node } from "./nodes.js";
import { chips } from "./taxonomy.js";

export function row(one, { filters, selectable, onselect }) {
  const title = one.title || one.lead.slice(0, 24) || t("queue.untitled");
  const select = node("input", { type: "checkbox", "aria-label": t("queue.select", { title }) });
  select.addEventListener("change", (event) => onselect(event));
  return node(
    `li.state-${one.state}`,
    { data: { id: one.id, version: one.version } },
    selectable ? node("label.select", {}, select) : null,
    node(
      "div.what",
      {},
      node("h2", {}, node("a", { href: `/slips/${one.id}${written(filters)}` }, title)),
      one.title ? node("p.lead", {}, one.lead) : null,
      meta(one),
      one.twins ? twins(one) : null,
    ),
    node(
      "div.verdict",
      {},
      node("span.state", {}, t(`state.${one.state}`)),
      node("div.chips", {}, ...chips(one)),
    ),
  );
}

function meta(one) {
  const source = one.source.split(":")[0];
  const parts = [
    one.place,
    one.names.join(" "),
    t("queue.length", { n: one.length }),
    one.kind === "caption" ? t("kind.caption") : null,
    has(`source.${source}`) ? t(`source.${source}`) : one.source,
    one.name,
    moment(one.received),
  ];
  return node(
    "p.meta",
    {},
    ...parts.filter(Boolean).map((part) => node("span", {}, part)),
    one.twin_of ? node("span.warn", {}, t("queue.twin_of")) : null,
    one.lock ? node("span.warn", {}, t("queue.locked", { by: one.lock.by })) : null,
    ...one.warnings.map((warning) => node("span.warn", {}, warning)),
  );
}

function twins(one) {
  const inside = node("ul");
  const fold = node("details.twins", {}, node("summary", {}, t("queue.twins", { n: one.twins })), inside);
  fold.addEventListener("toggle", () =>
    attempt(async () => {
      if (!fold.open || inside.children.length) return;
      const { same } = await ask("GET", `/v1/submissions/${one.id}`);
      inside.append(
        ...same.map((twin) =>
          node("li", {}, node("a", { href: `/slips/${twin.id}` }, twin.title || t("queue.untitled")), ` ${moment(twin.received)} ${twin.by}`),
        ),
      );
    }),
  );
  return fold;
}
