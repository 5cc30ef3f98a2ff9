// 主题: what the articles are tagged by, and the steps that change it.
import { ask } from "./ask.js";
import { written } from "./filters.js";
import { attempt, may } from "./frame.js";
import { moment, t } from "./language.js";
import { find, node } from "./nodes.js";
import { colourOf, themes } from "./taxonomy.js";

const dialog = find("change");
const form = dialog.querySelector("form");
let step = { kind: "", slug: "" };

find("list").replaceChildren(
  ...(themes.length ? themes.map(draw) : [node("p.notice", {}, t("model.missing"))]),
);

function draw(theme, place) {
  const act = (kind) => node("button.plain", { type: "button", onclick: () => open(kind, theme) }, t(`themes.${kind}`));
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
    may("administrator")
      ? node("p.row", {}, act("rename"), themes.length > 1 ? act("merge") : null, act("retire"))
      : null,
  );
}

function open(kind, theme = null) {
  step = { kind, slug: theme?.slug ?? "" };
  form.reset();
  find("change-head").textContent = t("themes.head", { what: t(`themes.${kind}`), theme: theme?.name ?? "" });
  for (const field of form.querySelectorAll("[data-of]")) {
    field.hidden = !field.dataset.of.split(" ").includes(kind);
    for (const input of field.querySelectorAll("input, select, textarea")) input.disabled = field.hidden;
  }
  form.elements.name.required = kind === "add";
  form.elements.slug.required = kind === "add";
  form.elements.into.replaceChildren(
    ...themes.filter((one) => one.slug !== step.slug).map((one) => node("option", { value: one.slug }, one.name)),
  );
  if (kind === "rename") {
    form.elements.name.value = theme.name;
    form.elements.definition.value = theme.definition;
    form.elements.examples.value = theme.examples.join("、");
  }
  unseen();
  dialog.showModal();
}

// What is about to be done must have been seen: a change of the form takes the button away again.
function unseen() {
  find("preview").textContent = "";
  find("change-go").hidden = true;
  find("preview-go").hidden = false;
}

function body() {
  const { name, slug, new_slug: renamed, into, definition, examples } = form.elements;
  const given = { kind: step.kind, slug: step.kind === "add" ? slug.value.trim() : step.slug };
  if (step.kind === "merge") given.into = into.value;
  if (step.kind === "rename" && renamed.value.trim()) given.into = renamed.value.trim();
  if (step.kind === "add" || step.kind === "rename") {
    given.name = name.value.trim();
    given.definition = definition.value.trim();
    given.examples = examples.value.split(/[、,，;；\s]+/).filter(Boolean);
  }
  return given;
}

function refuse(refusal) {
  find("preview").className = "preview bad";
  find("preview").textContent = refusal.message;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const told = await ask("POST", "/v1/taxonomy/preview", body());
    find("preview").className = "preview";
    find("preview").textContent = `${told.sentence}。${t("themes.not_yet")}`;
    find("change-go").hidden = false;
    find("preview-go").hidden = true;
    find("change-go").focus();
  } catch (refusal) {
    refuse(refusal);
  }
});
form.addEventListener("input", unseen);
find("change-cancel").addEventListener("click", () => dialog.close());
find("change-go").addEventListener("click", async () => {
  try {
    await ask("POST", "/v1/taxonomy/changes", body());
    location.reload();
  } catch (refusal) {
    refuse(refusal);
  }
});
find("add").addEventListener("click", () => open("add"));
find("add").disabled = false;

await attempt(async () => {
  const { changes } = await ask("GET", "/v1/taxonomy");
  find("changes").hidden = !changes.length;
  find("change-list").replaceChildren(
    ...changes.toReversed().map((one) =>
      node("li", {}, node("span", {}, one.sentence), node("span.meta", {}, node("span", {}, moment(one.at)), node("span", {}, one.by))),
    ),
  );
  find("undo").addEventListener("click", () =>
    attempt(async () => {
      await ask("POST", "/v1/taxonomy/undo", { expected: changes.length });
      location.reload();
    }),
  );
});
