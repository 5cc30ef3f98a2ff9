// 更正: what became of what one told the model.
import { ask } from "./ask.js";
import { attempt, may } from "./frame.js";
import { moment, t } from "./language.js";
import { find, node } from "./nodes.js";
import { colourOf, nameOf } from "./taxonomy.js";

const FATES = ["learned", "not_yet", "waiting", "overruled", "retired"];
const list = find("list");
let fate = new URLSearchParams(location.search).get("fate") ?? "";

async function show() {
  list.setAttribute("aria-busy", "true");
  await attempt(async () => {
    const told = await ask("GET", `/v1/corrections${FATES.includes(fate) ? `?fate=${fate}` : ""}`);
    drawFates(told.counts);
    list.replaceChildren(
      ...(told.corrections.length ? told.corrections.map(draw) : [node("li.nothing", {}, t("corrections.none"))]),
    );
  });
  list.removeAttribute("aria-busy");
}

function drawFates(counts) {
  const choices = [["", Object.values(counts).reduce((sum, one) => sum + one, 0)], ...FATES.map((one) => [one, counts[one] ?? 0])];
  find("fates").replaceChildren(
    ...choices.map(([one, count]) =>
      node(
        "label.check",
        {},
        node("input", { type: "radio", name: "fate", value: one, checked: one === fate, onchange: () => choose(one) }),
        `${one ? t(`fate.${one}`) : t("state.all")} ${count}`,
      ),
    ),
  );
}

function choose(one) {
  fate = one;
  history.replaceState(null, "", one ? `/corrections?fate=${one}` : "/corrections");
  show();
}

function chips(slugs) {
  const made = slugs.map((slug) => node(`span.chip.${colourOf(slug)}`, {}, nameOf(slug)));
  return made.length ? made : [node("span.chip.muted", {}, t("no_theme"))];
}

function draw(one) {
  return node(
    `li.fate-${one.fate}`,
    {},
    node("h2", {}, node("a", { href: `/slips/${one.submission}` }, one.title || t("queue.untitled"))),
    node("p.chips", {}, ...chips(one.before), node("span", { "aria-label": t("corrections.to") }, "→"), ...chips(one.themes)),
    node("p.fate", {}, node("b", {}, t(`fate.${one.fate}`)), ` ${one.sentence}`),
    node("p.meta", {}, node("span", {}, moment(one.at)), may("administrator") ? node("span", {}, one.by) : null),
    one.opposites.length
      ? node(
          "details",
          {},
          node("summary", {}, t("corrections.opposites", { n: one.opposites.length })),
          node("ul", {}, ...one.opposites.map((other) => node("li", {}, opposite(other)))),
        )
      : null,
  );
}

function opposite(other) {
  const words = t(other.labelled ? "corrections.has" : "corrections.lacks", { theme: nameOf(other.theme) });
  return `${other.title || other.id} · ${words}`;
}

find("only-editors").hidden = may("editor");
if (may("editor")) await show();
