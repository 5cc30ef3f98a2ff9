"use strict";

const form = document.getElementById("article");
const refusal = document.getElementById("refusal");
const slip = document.getElementById("slip");
const DECISIONS = { auto: "自动放行", none: "无主题", review: "请编辑过目" };

// Marks are built as nodes, never as markup: what people paste is only ever text.
function marked(target, whole, reasons) {
  target.replaceChildren();
  // The service counts characters, JavaScript counts UTF-16 units.
  const characters = Array.from(whole);
  let at = 0;
  for (const reason of reasons.toSorted((one, other) => one.start - other.start)) {
    if (reason.start < at) continue;
    target.append(characters.slice(at, reason.start).join(""));
    const mark = document.createElement("mark");
    mark.dataset.theme = reason.theme;
    mark.title = `${reason.theme} ${reason.weight.toFixed(2)}`;
    mark.append(characters.slice(reason.start, reason.end).join(""));
    target.append(mark);
    at = reason.end;
  }
  target.append(characters.slice(at).join(""));
}

async function names() {
  const answer = await fetch("/v1/themes");
  if (!answer.ok) return {};
  const { themes } = await answer.json();
  return Object.fromEntries(themes.map((theme) => [theme.slug, theme.name]));
}

function show(article, tagging, themeNames) {
  slip.hidden = false;
  document.getElementById("decision").textContent = DECISIONS[tagging.decision];
  document.getElementById("decision").dataset.decision = tagging.decision;
  const list = document.getElementById("themes");
  list.replaceChildren();
  for (const [theme, probability] of Object.entries(tagging.scores).sort((a, b) => b[1] - a[1])) {
    const item = document.createElement("li");
    item.dataset.theme = theme;
    item.classList.toggle("accepted", tagging.themes.includes(theme));
    const meter = document.createElement("meter");
    meter.value = probability;
    item.append(themeNames[theme] ?? theme, " ", meter, ` ${(probability * 100).toFixed(0)}%`);
    list.append(item);
  }
  const spoken = tagging.evidence.filter(
    (reason) => reason.weight > 0 && tagging.themes.includes(reason.theme),
  );
  const of = (field) => spoken.filter((reason) => reason.field === field);
  marked(document.getElementById("marked-title"), article.title, of("title"));
  marked(document.getElementById("marked-text"), article.text, of("text"));
  document.getElementById("coverage").textContent = `${(tagging.coverage * 100).toFixed(0)}%`;
  document.getElementById("model").textContent = tagging.model;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  refusal.textContent = "";
  const article = { title: form.elements.title.value, text: form.elements.text.value };
  try {
    const answer = await fetch("/v1/predict", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ articles: [article], explain: true }),
    });
    const told = await answer.json();
    if (!answer.ok) {
      refusal.textContent = told.detail;
      return;
    }
    show(article, told.results[0], await names());
  } catch {
    refusal.textContent = "连不上服务，请稍后再试。";
  }
});

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

form.addEventListener("dragover", (event) => event.preventDefault());
form.addEventListener("drop", async (event) => {
  const file = event.dataTransfer.files[0];
  if (!file) return;
  event.preventDefault();
  const bytes = await file.arrayBuffer();
  try {
    form.elements.text.value = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    form.elements.text.value = new TextDecoder("gb18030").decode(bytes);
  }
});
