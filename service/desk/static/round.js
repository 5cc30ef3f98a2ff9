// The order in which one editor goes through the queue: as it was listed when the round began.
import { ask } from "./ask.js";
import { written } from "./filters.js";

const TOGETHER = 100;

export function roundOf(filters, first) {
  const ids = [first];
  let cursor = null;
  let ended = false;

  async function fetchMore() {
    // `free`: what a colleague has open is left to her.
    const more = { limit: TOGETHER, free: true, ...(cursor ? { cursor } : {}) };
    const found = await ask("GET", `/v1/submissions${written(filters, more)}`);
    const fresh = found.submissions.filter((one) => !one.twin_of).map((one) => one.id);
    if (cursor === null && fresh.includes(first)) ids.unshift(...fresh.slice(0, fresh.indexOf(first)));
    ids.push(...fresh.filter((id) => !ids.includes(id)));
    cursor = found.cursor;
    ended = !cursor;
  }

  // At once, not with the first step: what is settled in between would stand elsewhere.
  const begun = fetchMore();
  begun.catch(() => {}); // told where it is awaited

  async function step(id, by) {
    await begun;
    const place = ids.indexOf(id) + by;
    while (place >= ids.length && !ended) await fetchMore();
    return ids[place] ?? null;
  }

  return {
    begun,
    next: (id) => step(id, 1),
    previous: (id) => step(id, -1),
    visit(id) {
      if (!ids.includes(id)) ids.unshift(id);
    },
  };
}
