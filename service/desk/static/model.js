// 模型: what is serving, what it promises, and the ways to another one.
import { ask } from "./ask.js";
import { attempt, may } from "./frame.js";
import { day, t } from "./language.js";
import { find, node } from "./nodes.js";
import { followRetraining, showPinned, showVersions } from "./registry.js";
import { showAlarms, showLive } from "./promises.js";

const share = (value) => (typeof value === "number" ? `${(value * 100).toFixed(1)}%` : "—");

function notice(words) {
  find("notice").hidden = false;
  find("notice").textContent = words;
}

function promise(theme) {
  const { articles, precision_kept: kept, precision_proved: proved, sentence, wanted } = theme.promise;
  return node(
    "tr",
    {},
    node("th", { scope: "row" }, theme.name),
    node("td.number", {}, articles),
    node("td.number", {}, share(wanted)),
    node("td.number", {}, share(proved)),
    node(kept ? "td.good" : "td.bad", {}, t(kept ? "model.kept" : "model.not_kept")),
    node("td.words", {}, sentence),
  );
}

async function showModel() {
  find("notice").hidden = true;
  const health = await ask("GET", "/healthz");
  if (!health.serving) {
    notice(`${t("model.missing")} ${health.problem}`);
    return;
  }
  if (health.promoted && health.promoted !== health.serving) {
    notice(t("model.lagging", { id: health.promoted, why: health.problem }));
  }
  const model = await ask("GET", "/v1/model");
  const { training } = model;
  const facts = [
    ["serving", model.model],
    ["created", day(model.created)],
    ["articles", training.articles],
    ["f1", training.macro_f1?.toFixed(3)],
    ["exact", share(training.exact_sets)],
    ["tokenizer", model.tokenizer.engine ?? model.tokenizer.name],
  ];
  find("facts").replaceChildren(
    ...facts.filter(([, value]) => value !== undefined).map(([name, value]) => node("div", {}, node("dt", {}, t(`model.${name}`)), node("dd", {}, value))),
  );
  find("report").href = `/models/${model.model}/report`;
  find("report").hidden = false;
  find("promises").querySelector("tbody").replaceChildren(...model.themes.map(promise));
  find("promises").hidden = false;
}

async function showAll() {
  await attempt(showModel);
  await attempt(() => Promise.all([showVersions(showAll), showLive(), showAlarms()]));
}

await showAll();
if (may("editor")) await attempt(showPinned);
if (may("administrator")) await followRetraining(showAll);
