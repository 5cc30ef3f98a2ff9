// The themes, their names and their colours.
import { ask } from "./ask.js";
import { percent, t } from "./language.js";
import { bar, node } from "./nodes.js";

const COLOURS = 8;
const DOUBTED = 0.2; // a theme this likely is worth a look even where it was not accepted

let known = [];
try {
  known = (await ask("GET", "/v1/themes")).themes;
} catch {
  known = []; // no model yet: what comes in is shown all the same
}

export const themes = known;

export function nameOf(slug) {
  return known.find((theme) => theme.slug === slug)?.name ?? slug;
}

export function colourOf(slug) {
  const place = known.findIndex((theme) => theme.slug === slug);
  return `hue-${place < 0 ? 0 : (place % COLOURS) + 1}`;
}

export function isEditors(by) {
  return by.startsWith("editor@");
}

export function whoOf(by) {
  return by.slice(by.indexOf("@") + 1);
}

// Themes as they stand, and those that the model was in doubt about.
export function chips(one) {
  if (one.state === "new") return [node("span.chip.muted", {}, t("queue.waiting"))];
  const made = one.themes.map((slug) => standing(one, slug));
  if (!isEditors(one.themes_by)) {
    const rest = Object.entries(one.scores ?? {})
      .filter(([slug, share]) => share >= DOUBTED && !one.themes.includes(slug))
      .sort((a, b) => b[1] - a[1]);
    for (const [slug, share] of rest) made.push(doubted(slug, share));
  }
  return made.length || one.state === "none" ? made : [node("span.chip.muted", {}, t("no_theme"))];
}

function standing(one, slug) {
  const theme = nameOf(slug);
  // Beside an editor's own choice a number only confuses.
  if (isEditors(one.themes_by)) {
    const title = t("queue.by_editor", { theme, by: whoOf(one.themes_by) });
    return node(`span.chip.${colourOf(slug)}.settled`, { title }, theme);
  }
  const share = one.scores?.[slug] ?? 0;
  const title = t("queue.likely", { theme, p: percent(share) });
  return node(`span.chip.${colourOf(slug)}`, { title }, theme, bar(share), percent(share));
}

function doubted(slug, share) {
  const theme = nameOf(slug);
  const title = t("queue.maybe", { theme, p: percent(share) });
  return node(`span.chip.${colourOf(slug)}.doubted`, { title }, `${theme}？`, bar(share), percent(share));
}
