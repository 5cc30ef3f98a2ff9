// 主题: what the articles are tagged by.
import "./frame.js";
import { written } from "./filters.js";
import { t } from "./language.js";
import { find, node } from "./nodes.js";
import { colourOf, themes } from "./taxonomy.js";

find("list").replaceChildren(
  ...(themes.length ? themes.map(draw) : [node("p.notice", {}, t("model.missing"))]),
);

function draw(theme, place) {
  return node(
    `article.definition.${colourOf(theme.slug)}`,
    {},
    node("h2", {}, node("kbd", {}, place + 1), ` ${theme.name} `, node("code", {}, theme.slug)),
    node("p", {}, theme.definition),
    node("p.examples", {}, ...theme.examples.map((word) => node("span", {}, word))),
    node(
      "p.small",
      {},
      t("themes.articles", { n: theme.promise.articles ?? 0 }),
      " · ",
      theme.promise.sentence ?? "",
      " · ",
      node("a", { href: `/queue${written({ theme: theme.slug })}` }, t("themes.queue")),
    ),
  );
}
