// Whether the promises hold, as the audits show, and what to look out for.
import { ask } from "./ask.js";
import { t } from "./language.js";
import { find, node } from "./nodes.js";

const share = (value) => `${(value * 100).toFixed(1)}%`;

export async function showLive() {
  const { themes } = await ask("GET", "/v1/precision");
  find("live").replaceChildren(themes.length ? drawn(themes) : "");
}

export async function showAlarms() {
  const { alarms } = await ask("GET", "/v1/alarms");
  find("alarms").replaceChildren(
    alarms.length ? node("ul.alarms", { role: "alert" }, ...alarms.map((one) => node("li", {}, `${one}。`))) : "",
  );
}

function drawn(themes) {
  const head = ["theme", "audited", "right", "interval", "wanted", "state", "missed"];
  return node(
    "section.sheet",
    {},
    node("h2", {}, t("live.head")),
    node("p.small", {}, t("live.hint")),
    node(
      "div.wide",
      { tabindex: 0, role: "region", "aria-label": t("live.head") },
      node(
        "table",
        {},
        node("thead", {}, node("tr", {}, ...head.map((one) => node(one === "theme" || one === "state" ? "th" : "th.number", { scope: "col" }, t(`live.${one}`))))),
        node("tbody", {}, ...themes.map(line)),
      ),
    ),
  );
}

function line(one) {
  const state = one.broken ? "broken" : one.kept ? "kept" : one.audited ? "open" : "none";
  return node(
    "tr",
    {},
    node("th", { scope: "row" }, one.name),
    node("td.number", {}, one.audited),
    node("td.number", {}, one.audited ? one.right : "—"),
    node("td.number", {}, one.audited ? `${share(one.low)} – ${share(one.high)}` : "—"),
    node("td.number", {}, share(one.wanted)),
    node(one.broken ? "td.bad" : one.kept ? "td.good" : "td.muted", {}, t(`live.${state}`)),
    node("td.number", {}, one.missed),
  );
}
