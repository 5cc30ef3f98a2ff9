// What stands around every page: who is asking, what was said, the table of keys.
import { ask } from "./ask.js";
import { t } from "./language.js";
import { find, node } from "./nodes.js";

export const me = await ask("GET", "/v1/me");

const RANKS = ["stranger", "reader", "editor", "administrator"];

export function may(role) {
  return RANKS.indexOf(me.role) >= RANKS.indexOf(role);
}

if (me.must_change && location.pathname !== "/account") {
  location.replace("/account");
  await new Promise(() => {});
}

for (const role of RANKS) document.body.classList.toggle(`may-${role}`, may(role));
for (const part of document.querySelectorAll("[data-for]")) part.hidden = !may(part.dataset.for);
// On a phone the tabs are wider than the screen; the one we are on is to be seen.
document.querySelector(".masthead [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
find("me").textContent = me.login ? me.shown || me.name : t("local");
find("me").title = t(`role.${me.role}`);

const logout = find("logout");
logout.hidden = !me.login;
logout.addEventListener("click", async () => {
  await ask("POST", "/v1/logout");
  location.assign("/login");
});

find("other-language").addEventListener("click", (event) => {
  const there = new URL(location.href); // filters in the address stay
  there.searchParams.set("lang", new URL(event.currentTarget.href).searchParams.get("lang"));
  event.currentTarget.href = there.href;
});

const saying = find("saying");
let silence;

// Say something; with `undo`, offer to take it back.
export function say(words, { bad = false, offer = null } = {}) {
  clearTimeout(silence);
  const parts = [node("span", {}, words)];
  if (offer) parts.push(node("button.plain", { type: "button", onclick: offer.act }, offer.name));
  saying.replaceChildren(node(bad ? "p.bad" : "p", {}, ...parts));
  silence = setTimeout(() => saying.replaceChildren(), bad ? 12000 : offer ? 10000 : 5000);
}

// Do something the service may refuse, and say why it did.
export async function attempt(act) {
  try {
    return await act();
  } catch (refusal) {
    say(refusal.message, { bad: true });
    return undefined;
  }
}

const sure = node("dialog.sure");
document.body.append(sure);

export function askIfSure(words, go = t("bulk.do")) {
  return new Promise((answer) => {
    sure.replaceChildren(
      node("p", {}, words),
      node(
        "form.row",
        { method: "dialog" },
        node("button", { value: "yes" }, go),
        node("button.second", { value: "no" }, t("bulk.cancel")),
      ),
    );
    sure.returnValue = "";
    sure.onclose = () => answer(sure.returnValue === "yes");
    sure.showModal();
  });
}

// A secret that is shown once.
export function secretShown(name, secret) {
  const copy = node("button.second", { type: "button" }, t("copy"));
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(secret);
    copy.textContent = t("copied");
  });
  return node("p.secret", { role: "status" }, node("span", {}, name), node("code", {}, secret), copy);
}
