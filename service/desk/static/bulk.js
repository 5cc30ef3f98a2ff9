// Many at once: those chosen, or all that the filters find; and the way back.
import { ask } from "./ask.js";
import { bodyOf } from "./filters.js";
import { askIfSure, attempt, say } from "./frame.js";
import { t } from "./language.js";
import { find, node } from "./nodes.js";
import { themes } from "./taxonomy.js";

const MOST_NAMED = 3; // refusals told one by one

export async function undo() {
  const batch = await ask("POST", "/v1/undo");
  say(told("undo.done", batch));
  return batch;
}

function told(key, batch) {
  const words = [t(key, { n: batch.done.length })];
  const why = [...new Set(batch.refused.map((one) => one.reason))].slice(0, MOST_NAMED).join("；");
  if (batch.refused.length) words.push(t("bulk.refused", { n: batch.refused.length, why }));
  return words.join(" ");
}

// `query()` → {filters, at, counted}; `shown()` → rows; `changed()` after something was done.
export function bulk({ query, shown, changed }) {
  const ids = new Map(); // id → version seen
  let all = false;

  const panel = find("bulk");
  const choice = find("bulk-choice");
  choice.querySelector(".row").replaceChildren(
    ...themes.map((theme) =>
      node("label.check", {}, node("input", { type: "checkbox", value: theme.slug }), ` ${theme.name}`),
    ),
  );

  function boxOf(row) {
    return row.querySelector(".select input");
  }

  function paint() {
    for (const row of shown()) {
      const box = boxOf(row);
      if (!box) continue;
      box.checked = all || ids.has(row.dataset.id);
      box.disabled = all;
      row.classList.toggle("chosen", box.checked);
    }
    const { counted } = query();
    const rows = shown().filter(boxOf);
    panel.hidden = !all && !ids.size;
    document.body.classList.toggle("choosing", !panel.hidden);
    find("chosen").textContent = all ? t("bulk.all_chosen", { n: counted }) : t("bulk.chosen", { n: ids.size });
    find("choose-all").hidden = all || counted <= ids.size;
    find("choose-all").textContent = t("bulk.all", { n: counted });
    find("select-shown").checked = all || (rows.length > 0 && rows.every((row) => ids.has(row.dataset.id)));
  }

  function put(row, wanted) {
    if (wanted) ids.set(row.dataset.id, Number(row.dataset.version));
    else ids.delete(row.dataset.id);
  }

  function clear() {
    ids.clear();
    all = false;
    choice.hidden = true;
    find("bulk-themes").setAttribute("aria-expanded", "false");
    paint();
  }

  async function act(action, name) {
    const body = { action };
    if (action === "set") {
      body.themes = [...choice.querySelectorAll("input:checked")].map((box) => box.value);
      if (!body.themes.length) body.action = "none";
      if (!body.themes.length) delete body.themes;
    }
    const { filters, at, counted } = query();
    if (all) body.query = bodyOf(filters, at);
    else body.ids = Object.fromEntries(ids);
    if (all && !(await askIfSure(t("bulk.sure", { n: counted, what: name })))) return;
    await attempt(async () => {
      const batch = await ask("POST", "/v1/submissions/review", body);
      clear();
      await changed();
      say(told("bulk.done", batch), { offer: batch.done.length ? { name: t("undo"), act: undoAndShow } : null });
    });
  }

  function undoAndShow() {
    return attempt(async () => {
      await undo();
      clear();
      await changed();
    });
  }

  panel.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-action]");
    if (button) act(button.dataset.action, button.textContent);
  });
  find("bulk-themes").addEventListener("click", (event) => {
    choice.hidden = !choice.hidden;
    event.currentTarget.setAttribute("aria-expanded", String(!choice.hidden));
    if (!choice.hidden) choice.querySelector("input")?.focus();
  });
  find("choose-all").addEventListener("click", () => {
    all = true;
    paint();
  });
  find("choose-none").addEventListener("click", clear);
  find("select-shown").addEventListener("change", (event) => {
    all = false;
    for (const row of shown()) if (boxOf(row)) put(row, event.target.checked);
    paint();
  });

  return {
    clear,
    repaint: paint,
    any: () => all || ids.size > 0,
    undo: undoAndShow,
    toggled(event) {
      const row = event.target.closest("li");
      put(row, event.target.checked);
      paint();
    },
    flip(row) {
      if (!boxOf(row) || all) return;
      put(row, !ids.has(row.dataset.id));
      paint();
    },
  };
}
