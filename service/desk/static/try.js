// 试一篇: tag one text without storing it.
import { ask } from "./ask.js";
import "./frame.js";
import { percent, t } from "./language.js";
import { light, mark, markLines, worthMarking } from "./marks.js";
import { bar, find, node, ready } from "./nodes.js";
import { colourOf, nameOf } from "./taxonomy.js";

const form = find("article");

function show(article, tagging) {
  find("slip").hidden = false;
  const verdict = find("verdict");
  verdict.className = `verdict state-${tagging.decision}`;
  verdict.replaceChildren(node("b", {}, t(`decision.${tagging.decision}`)));
  const scores = Object.entries(tagging.scores).sort((a, b) => b[1] - a[1]);
  find("themes").replaceChildren(
    ...scores.map(([slug, share]) =>
      node(
        `li.theme.${colourOf(slug)}${tagging.themes.includes(slug) ? ".accepted" : ""}`,
        { data: { theme: slug } },
        node("span.name", {}, nameOf(slug)),
        bar(share),
        node("span.number", {}, percent(share)),
      ),
    ),
  );
  const reasons = worthMarking(tagging.evidence);
  const themes = new Set(tagging.themes);
  mark(find("marked-title"), article.title, reasons.filter((one) => one.field === "title"));
  markLines(find("marked-text"), article.text, reasons.filter((one) => one.field === "text"));
  for (const target of ["marked-title", "marked-text"]) light(find(target), themes);
  find("told").textContent = `${t("slip.coverage")} ${t("slip.coverage_of", { p: percent(tagging.coverage) })} · ${t("slip.model")} ${tagging.model}`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  find("refusal").textContent = "";
  const article = { title: form.elements.title.value, text: form.elements.text.value };
  try {
    const told = await ask("POST", "/v1/predict", { articles: [article], explain: true });
    show(article, told.results[0]);
  } catch (refusal) {
    find("refusal").textContent = refusal.message;
  }
});

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

form.addEventListener("dragover", (event) => event.preventDefault());
form.addEventListener("drop", async (event) => {
  const [file] = event.dataTransfer.files;
  if (!file) return;
  event.preventDefault();
  const bytes = await file.arrayBuffer();
  try {
    form.elements.text.value = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    form.elements.text.value = new TextDecoder("gb18030").decode(bytes);
  }
});

ready();
