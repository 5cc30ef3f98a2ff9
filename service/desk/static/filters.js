// What the queue is filtered by; it stands in the address, so that it can be kept and sent.

export const FILTERS = ["state", "theme", "decision", "place", "name", "source", "text", "from", "to", "page", "twins", "order"];

export function readFilters(search = location.search) {
  const there = new URLSearchParams(search);
  const found = {};
  for (const name of FILTERS) {
    const value = there.get(name)?.trim();
    if (value && !(name === "twins" && value !== "true")) found[name] = value;
  }
  return found;
}

export function written(filters, more = {}) {
  const all = new URLSearchParams({ ...filters, ...more }).toString();
  return all ? `?${all}` : "";
}

// The same filters as the body of a bulk review; nothing that came after `at` is touched.
export function bodyOf(filters, at) {
  const { order, twins, to, ...rest } = filters;
  const ends = new Date(to?.length === 10 ? `${to}T23:59:59.999+08:00` : to);
  const until = ends < new Date(at) ? to : at;
  return { ...rest, ...(twins ? { twins: twins === "true" } : {}), to: until };
}
