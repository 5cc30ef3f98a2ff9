// How one article and its slip are put on the page.
import { written } from "./filters.js";
import { has, moment, percent, t } from "./language.js";
import { hint, light, mark, markLines, worthMarking } from "./marks.js";
import { bar, find, node } from "./nodes.js";
import { colourOf, isEditors, nameOf, themes, whoOf } from "./taxonomy.js";

const DOUBTED = 0.2;
let painted = null; // id@version of the text on the page, and whether it came without a suggestion

// `touched`: the editor has said something; of an article without a suggestion nothing stands before.
export function paint(one, draft, { editable, toggle, touched = false }) {
  const shown = `${one.id}@${one.version}${one.blind ? "?" : ""}`;
  if (painted !== shown) {
    paintText(one);
    paintFacts(one);
    paintHistory(one);
    painted = shown;
  }
  paintVerdict(one, draft);
  paintThemes(one, draft, { editable, toggle, none: !draft.size && (touched || !one.blind) });
  lightUp(one, draft);
}

function paintText(one) {
  const reasons = worthMarking(one.evidence ?? []);
  const title = one.title || t("queue.untitled");
  document.title = `${title} · ${t("gaoqian")}`;
  find("section").textContent = one.section ?? "";
  mark(find("title"), title, one.title ? reasons.filter((reason) => reason.field === "title") : []);
  find("title").classList.toggle("muted", !one.title);
  find("byline").textContent = one.byline ?? "";
  markLines(find("text"), one.text, reasons.filter((reason) => reason.field === "text"));
  find("hint").textContent = one.hint ?? hint(one.evidence, one.evidence_missing);
}

function likely(one, draft) {
  const slugs = Object.entries(one.scores ?? {}).filter(([, share]) => share >= DOUBTED);
  return new Set([...draft, ...slugs.map(([slug]) => slug)]);
}

function lightUp(one, draft, alone) {
  const slugs = alone ? new Set([alone]) : likely(one, draft);
  light(find("title"), slugs);
  light(find("text"), slugs);
}

function paintVerdict(one, draft) {
  const by = isEditors(one.themes_by)
    ? t("slip.by_editor", { by: whoOf(one.themes_by) })
    : one.model
      ? t("slip.by_model", { by: one.model })
      : "";
  const state = node("b", {}, one.said ?? t(`state.${one.state}`));
  find("verdict").className = `verdict state-${one.state}`;
  find("verdict").replaceChildren(state, node("span.small", {}, by));
  const same = draft.size === one.themes.length && one.themes.every((slug) => draft.has(slug));
  find("changed").textContent = same || one.blind ? "" : t("slip.changed");
}

function paintThemes(one, draft, { editable, toggle, none }) {
  const box = find("themes");
  const slugs = [...new Set([...themes.map((theme) => theme.slug), ...one.themes])];
  const focused = document.activeElement?.closest?.("#themes label")?.dataset.slug;
  const act = (slug) => (event) => {
    event.preventDefault(); // painted anew below, with the draft as it then is
    const { id } = find("article").dataset;
    toggle(slug, id ? { id } : null);
  };
  const line = (slug, digit, name, checked, share) => {
    const label = node(
      `label.theme.${slug ? colourOf(slug) : "hue-0"}`,
      { data: { slug: slug ?? "" } },
      node("input", { type: "checkbox", checked, disabled: !editable, onclick: act(slug) }),
      digit === null ? node("span") : node("kbd", {}, digit),
      node("span.name", {}, name),
      share === undefined || share === null ? node("span") : bar(share),
      node("span.number", {}, share === undefined || share === null ? "" : percent(share)),
    );
    if (slug) {
      label.addEventListener("pointerenter", () => lightUp(one, draft, slug));
      label.addEventListener("pointerleave", () => lightUp(one, draft));
      label.addEventListener("focusin", () => lightUp(one, draft, slug));
      label.addEventListener("focusout", () => lightUp(one, draft));
    }
    return label;
  };
  box.replaceChildren(
    box.querySelector("legend"),
    ...slugs.map((slug, place) => line(slug, place < 9 ? place + 1 : null, nameOf(slug), draft.has(slug), one.scores?.[slug])),
    line(null, 0, t("slip.none"), none, null),
  );
  if (focused !== undefined) {
    [...box.querySelectorAll("label")].find((label) => label.dataset.slug === focused)?.querySelector("input").focus();
  }
}

function paintFacts(one) {
  const source = one.source.split(":")[0];
  const place = [one.city, one.county, one.town].filter(Boolean).join(" ") || one.place;
  const file = one.has_original
    ? node("a", { href: `/v1/submissions/${one.id}/original`, download: true }, one.name || one.format)
    : null;
  const page = one.page ? node("a", { href: `/queue${written({ page: one.page, order: "oldest" })}` }, t("slip.page_link")) : null;
  const facts = [
    ["place", place],
    ["names", one.names.join("、")],
    ["unit", one.unit],
    ["length", one.length],
    ["kind", one.kind && has(`kind.${one.kind}`) ? t(`kind.${one.kind}`) : null],
    ["source", `${has(`source.${source}`) ? t(`source.${source}`) : one.source} ${one.by}`.trim()],
    ["received", moment(one.received)],
    ["settled", moment(one.settled)],
    ["external", one.external_id],
    ["file", file],
    ["page", page],
    ["coverage", one.coverage === null ? null : t("slip.coverage_of", { p: percent(one.coverage) })],
  ];
  find("facts").replaceChildren(
    ...facts
      .filter(([, value]) => value)
      .flatMap(([name, value]) => [node("dt", {}, t(`slip.${name}`)), node("dd", {}, value)]),
  );
  find("warnings").replaceChildren(...one.warnings.map((warning) => node("li", {}, warning)));
  const same = find("same");
  same.hidden = !one.same.length;
  same.querySelector("ul").replaceChildren(
    ...one.same.map((twin) =>
      node("li", {}, node("a", { href: `/slips/${twin.id}` }, twin.title || t("queue.untitled")), ` ${moment(twin.received)} ${twin.by}`),
    ),
  );
}

function paintHistory(one) {
  const tagged = one.taggings.map((tagging) => ({
    at: tagging.at,
    words: [`${t("action.tagged")} ${tagging.model}`, told(tagging.themes)],
  }));
  const reviewed = one.history.map((step) => ({
    at: step.at,
    words: [`${step.by} ${t(`action.${step.action}`)}`, told(step.to_themes), step.undone ? t("history.undone") : ""],
    undone: step.undone,
  }));
  const all = [...tagged, ...reviewed].sort((a, b) => a.at.localeCompare(b.at));
  find("history").querySelector("ol").replaceChildren(
    ...all.map((step) =>
      node(step.undone ? "li.undone" : "li", {}, node("time", { datetime: step.at }, moment(step.at)), " ", step.words.filter(Boolean).join(" · ")),
    ),
  );
}

function told(slugs) {
  return slugs.length ? slugs.map(nameOf).join("、") : t("no_theme");
}

