// 用户: accounts, and the record of who did what.
import { ask } from "./ask.js";
import { askIfSure, attempt, may, me, secretShown } from "./frame.js";
import { day, moment, t } from "./language.js";
import { find, node, ready } from "./nodes.js";

const ROLES = ["reader", "editor", "administrator"];
const form = find("new-user");
let before = null;

async function showUsers() {
  const { users } = await ask("GET", "/v1/users");
  find("users").tBodies[0].replaceChildren(...users.map(draw));
}

const pathOf = (user) => `/v1/users/${encodeURIComponent(user.name)}`;

function draw(user) {
  const change = (changes) =>
    attempt(() => ask("PATCH", pathOf(user), changes)).then(() => attempt(showUsers));
  const role = node(
    "select",
    { "aria-label": `${t("users.role")} ${user.name}`, onchange: (event) => change({ role: event.target.value }) },
    ...ROLES.map((one) => node("option", { value: one, selected: one === user.role }, t(`role.${one}`))),
  );
  const able = async () => {
    if (!user.disabled && !(await askIfSure(t("users.sure_disable", { name: user.name }), t("users.disable")))) return;
    await change({ disabled: !user.disabled });
  };
  const reset = async () => {
    if (!(await askIfSure(t("users.sure_reset", { name: user.name }), t("users.reset")))) return;
    await attempt(async () => {
      const { password } = await ask("POST", `${pathOf(user)}/password`);
      giveOut(user.name, password);
      await showUsers();
    });
  };
  const states = [
    user.disabled ? t("users.disabled") : t("users.active"),
    user.must_change ? t("users.must_change") : null,
    user.program ? t("users.program") : null,
  ];
  const own = user.name === me.name;
  return node(
    user.disabled ? "tr.muted" : "tr",
    {},
    node("th", { scope: "row" }, user.name),
    node("td", {}, user.shown),
    node("td", {}, own ? t(`role.${user.role}`) : role),
    node("td", {}, day(user.created)),
    node("td", {}, states.filter(Boolean).join("，")),
    node(
      "td",
      {},
      own || user.program ? null : node("button.plain", { type: "button", onclick: reset }, t("users.reset")),
      own ? null : node("button.plain", { type: "button", onclick: able }, t(user.disabled ? "users.enable" : "users.disable")),
    ),
  );
}

function giveOut(name, password) {
  find("secret").replaceChildren(secretShown(t("users.given", { name }), password));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, shown, role } = form.elements;
  attempt(async () => {
    const made = await ask("POST", "/v1/users", { name: name.value, shown: shown.value, role: role.value });
    giveOut(made.user.name, made.password);
    form.reset();
    await showUsers();
  });
});

async function showAudit() {
  const found = await ask("GET", `/v1/audit?limit=50${before ? `&before=${before}` : ""}`);
  ({ before } = found);
  find("more").hidden = !before;
  find("audit").tBodies[0].append(
    ...found.entries.map((entry) =>
      node(
        "tr",
        {},
        node("td", {}, moment(entry.at)),
        node("td", {}, entry.by),
        node("td", {}, node("code", {}, entry.action)),
        node("td", {}, entry.subject),
        node("td.muted", {}, entry.address),
      ),
    ),
  );
}

find("more").addEventListener("click", () => attempt(showAudit));

ready();
find("notice").hidden = may("administrator");
if (may("administrator")) {
  await attempt(showUsers);
  await attempt(showAudit);
}
