// One article on the page, and what an editor means for it.
//
// A key acts on the article that stands on the page, never on "the next one": the element #article
// carries the id and version that were painted, from painting until something is done. Between two
// articles it carries none and keys do nothing; so does a key struck before the painting was seen.
import { find } from "./nodes.js";
import { paint } from "./paint.js";
import { themes } from "./taxonomy.js";

export function bench() {
  const article = find("article");
  const desk = find("desk");
  let seenFrom = Infinity; // when what is on the page was first seen, on the clock of events
  let draft = null; // {standing, slugs, editable, touched}

  // The article as it is on the page for an event, or null where there is none to act on.
  function subject(event) {
    const { id, version } = article.dataset;
    if (!id || event.timeStamp < seenFrom) return null;
    return { id, version: Number(version) };
  }

  function withdraw() {
    delete article.dataset.id;
    delete article.dataset.version;
    seenFrom = Infinity;
    desk.setAttribute("aria-busy", "true");
  }

  function release() {
    desk.removeAttribute("aria-busy");
  }

  function put(one, { editable }) {
    draft = { standing: one, slugs: new Set(one.themes), editable, touched: false };
    repaint();
    scrollTo(0, 0);
    requestAnimationFrame(() =>
      requestAnimationFrame((now) => {
        article.dataset.id = one.id;
        article.dataset.version = one.version;
        seenFrom = now;
        release();
      }),
    );
  }

  function repaint() {
    const { standing, slugs, editable, touched } = draft;
    paint(standing, slugs, { editable, toggle, touched });
  }

  function toggle(slug, one) {
    if (!one || one.id !== draft.standing.id || !draft.editable) return;
    if (slug === null) draft.slugs.clear();
    else if (!draft.slugs.delete(slug)) draft.slugs.add(slug);
    draft.touched = true;
    repaint();
  }

  function sameAsStanding() {
    const { standing, slugs } = draft;
    return standing.state !== "new" && slugs.size === standing.themes.length && standing.themes.every((slug) => slugs.has(slug));
  }

  // What Enter means; null where an article shown without a suggestion was not judged yet.
  function decision() {
    if (!draft) return null;
    if (draft.standing.blind && !draft.touched) return null;
    if (!draft.standing.blind && sameAsStanding()) return { action: "confirm" };
    if (!draft.slugs.size) return { action: "none" };
    const order = themes.map((theme) => theme.slug);
    return { action: "set", themes: [...draft.slugs].sort((a, b) => order.indexOf(a) - order.indexOf(b)) };
  }

  const digits = Object.fromEntries(
    themes.slice(0, 9).map((theme, place) => [String(place + 1), (event) => toggle(theme.slug, subject(event))]),
  );

  return {
    subject,
    withdraw,
    put,
    release,
    decision,
    standing: () => draft?.standing ?? null,
    digits: { ...digits, 0: (event) => toggle(null, subject(event)) },
    digitLine: [
      [`1 … ${Math.max(1, Math.min(9, themes.length))}`, "key.digits"],
      ["0", "key.zero"],
    ],
  };
}
