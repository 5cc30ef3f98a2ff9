// Elements are built as nodes, never as markup: what people write is only ever text.

function fill(made, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(made.dataset, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  const told = children.flat(3).filter((one) => one !== null && one !== undefined && one !== false);
  made.append(...told.map((one) => (one instanceof Node ? one : String(one))));
  return made;
}

// node("p.small", { title: "…" }, "text", node("b", {}, "…"))
export function node(kind, given = {}, ...children) {
  const [name, ...classes] = kind.split(".");
  const made = document.createElement(name);
  if (classes.length) made.className = classes.join(" ");
  return fill(made, given, children);
}

export function drawn(kind, given = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", kind), given, children);
}

// Forms wait for their script: sent before it, they would go out as the browser thinks fit.
export function ready() {
  for (const button of document.querySelectorAll("[data-wait]")) button.disabled = false;
}

export function find(id) {
  return document.getElementById(id);
}

// A small bar; how much it shows is also said in words beside it.
export function bar(share, kind = "bar") {
  const width = Math.max(0, Math.min(1, share)) * 100;
  return drawn(
    "svg",
    { class: kind, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    drawn("rect", { class: "bar-whole", width: 100, height: 6 }),
    drawn("rect", { class: "bar-part", width, height: 6 }),
  );
}
