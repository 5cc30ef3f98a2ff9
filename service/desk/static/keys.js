// Keys without a mouse. Keys typed into a field, with a modifier or through an input method are
// none of ours, and a key held down acts once.
import { t } from "./language.js";
import { find, node } from "./nodes.js";

const CHOICE = "gaoqian.single-keys";
const TYPED_INTO = "input:not([type=checkbox]):not([type=radio]), textarea, select";
const HAS_ENTER = "a, button, summary";
// What an input method in Chinese mode sends for the same keys.
const SAME = { "？": "?", "、": "/", "／": "/", "÷": "/" };

let single = localStorage.getItem(CHOICE) !== "off";

function named(event) {
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code);
  if (digit && !event.shiftKey) return digit[1];
  const key = SAME[event.key] ?? event.key;
  return key.length === 1 ? key.toLowerCase() : key;
}

// `keys`: name → act(event). `lines`: [keys as shown, what they do] for the table.
export function listen(keys, lines) {
  const help = find("help");
  const open = find("help-open");
  help.querySelector("dl").replaceChildren(
    ...[...lines, ["?", "key.question"]].flatMap(([shown, key]) => [
      node("dt", {}, ...shown.split(" ").map((one) => node("kbd", {}, one))),
      node("dd", {}, t(key)),
    ]),
  );
  open.hidden = false;
  open.addEventListener("click", () => help.showModal());
  const choice = find("single-keys");
  choice.checked = single;
  choice.addEventListener("change", () => {
    single = choice.checked;
    localStorage.setItem(CHOICE, single ? "on" : "off");
  });
  const acts = { ...keys, "?": () => help.showModal() };
  // What a mouse has clicked gives Enter back to the article.
  document.addEventListener("click", (event) => {
    if (event.detail > 0) event.target.closest?.(HAS_ENTER)?.blur();
  });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.isComposing || event.keyCode === 229 || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.(TYPED_INTO)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const name = named(event);
    const act = acts[name];
    if (!act || (!single && name.length === 1)) return;
    if (name === "Enter" && event.target.closest?.(HAS_ENTER)) return;
    event.preventDefault();
    if (event.repeat && name !== "j" && name !== "k") return;
    act(event);
  });
}
