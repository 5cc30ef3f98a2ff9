// 我的账号: one's own password and tokens.
import { ask } from "./ask.js";
import { askIfSure, attempt, may, me, say, secretShown } from "./frame.js";
import { day, t } from "./language.js";
import { find, node, ready } from "./nodes.js";

const form = find("password");
const newToken = find("new-token");
let mustChange = me.must_change;

find("who").textContent = `${me.shown || me.name} · ${t(`role.${me.role}`)}`;
form.elements.username.value = me.name;
if (me.login) find("own").hidden = false;
tellNotice(me.login ? (mustChange ? t("account.must") : "") : t("account.local"));

function tellNotice(words) {
  find("notice").hidden = !words;
  find("notice").textContent = words;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { current, password, again } = form.elements;
  find("refusal").textContent = "";
  if (password.value !== again.value) {
    find("refusal").textContent = t("account.differ");
    again.focus();
    return;
  }
  try {
    await ask("POST", "/v1/me/password", { current: current.value, password: password.value });
  } catch (refusal) {
    find("refusal").textContent = refusal.message;
    return;
  }
  form.reset();
  if (mustChange) {
    location.assign("/queue");
    return;
  }
  tellNotice("");
  say(t("account.changed"));
});

async function showTokens() {
  const { tokens } = await ask("GET", "/v1/tokens");
  find("token-list").replaceChildren(
    ...(tokens.length ? tokens.map(draw) : [node("li.muted", {}, t("tokens.none"))]),
  );
}

function draw(token) {
  const told = [
    token.user === me.name ? null : `${t("tokens.user")} ${token.user}`,
    t(`role.${token.scope}`),
    `${token.hint}…`,
    token.expires ? `${t("tokens.expires")} ${day(token.expires)}` : null,
    token.used ? `${t("tokens.used")} ${day(token.used)}` : null,
  ];
  const revoke = () =>
    attempt(async () => {
      if (!(await askIfSure(t("tokens.sure", { name: token.name }), t("tokens.revoke")))) return;
      await ask("DELETE", `/v1/tokens/${token.id}`);
      await showTokens();
    });
  return node(
    token.revoked ? "li.muted" : "li",
    {},
    node("b", {}, token.name || `#${token.id}`),
    node("span.meta", {}, ...told.filter(Boolean).map((one) => node("span", {}, one))),
    token.revoked ? t("tokens.revoked") : node("button.plain", { type: "button", onclick: revoke }, t("tokens.revoke")),
  );
}

newToken.addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, scope, days } = newToken.elements;
  attempt(async () => {
    const made = await ask("POST", "/v1/tokens", { name: name.value, scope: scope.value, days: Number(days.value) });
    find("secret").replaceChildren(secretShown(t("tokens.secret"), made.secret));
    newToken.reset();
    await showTokens();
  });
});

ready();

if (me.login && !mustChange) {
  const roles = ["reader", "editor", "administrator"].filter(may);
  newToken.elements.scope.append(...roles.map((role) => node("option", { value: role }, t(`role.${role}`))));
  find("tokens").hidden = false;
  await attempt(showTokens);
}
