// The words of the pages, in the language the page came in.
const table = await (await fetch("/static/texts.json")).json();

export const english = document.documentElement.lang === "en";

export function t(key, given = {}) {
  const words = table[key]?.[english ? 1 : 0] ?? key;
  return words.replace(/\{(\w+)\}/g, (whole, name) => String(given[name] ?? whole));
}

export function has(key) {
  return key in table;
}

const moments = new Intl.DateTimeFormat(english ? "en-GB" : "zh-CN", {
  month: "numeric",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
});
const days = new Intl.DateTimeFormat(english ? "en-GB" : "zh-CN", { dateStyle: "medium" });

export function moment(stamp) {
  return stamp ? moments.format(new Date(stamp)) : "";
}

export function day(stamp) {
  return stamp ? days.format(new Date(stamp)) : "";
}

export function percent(share) {
  // Nothing here is certain.
  if (share >= 0.995) return ">99%";
  if (share < 0.005) return "<1%";
  return `${Math.round(share * 100)}%`;
}
