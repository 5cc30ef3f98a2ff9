// Model versions, pinned articles and retraining, as the page of the model shows them.
import { ask } from "./ask.js";
import { askIfSure, attempt, may, say } from "./frame.js";
import { day, moment, t } from "./language.js";
import { find, node } from "./nodes.js";
import { nameOf } from "./taxonomy.js";

const LOOK = 1500; // milliseconds

// `changed()` after another version was put into service.
export async function showVersions(changed) {
  const { versions, current } = await ask("GET", "/v1/models");
  find("versions").hidden = !versions.length;
  find("version-list").replaceChildren(...versions.map((one) => draw(one, current, changed)));
  const rollback = find("rollback");
  rollback.disabled = !current;
  rollback.onclick = async () => {
    if (!(await askIfSure(t("versions.sure_rollback", { id: current }), t("versions.rollback")))) return;
    await attempt(async () => {
      const told = await ask("POST", "/v1/rollback", { expected: current });
      say(t("versions.switched", { id: told.current }));
    });
    await changed();
  };
}

function draw(one, current, changed) {
  const state = one.current ? "current" : one.problem ? "broken" : one.promoted === false ? "refused" : "kept";
  const promote = async () => {
    if (!(await askIfSure(t(one.promoted === false ? "versions.sure_refused" : "versions.sure", { id: one.id }), t("versions.promote")))) return;
    await attempt(async () => {
      const told = await ask("POST", "/v1/promote", { version: one.id, expected: current });
      say(t("versions.switched", { id: told.current }));
    });
    await changed();
  };
  const link = (there, kind, words) =>
    there ? node("a", { href: `/models/${one.id}/${kind}`, target: "_blank", rel: "noopener" }, t(words)) : null;
  return node(
    `li.version-${state}`,
    {},
    node("h3", {}, node("code", {}, one.id), " ", node("span.tag", {}, t(`versions.${state}`))),
    node(
      "p.meta",
      {},
      one.created ? node("span", {}, day(one.created)) : null,
      one.articles ? node("span", {}, t("themes.articles", { n: one.articles })) : null,
      one.macro_f1 ? node("span", {}, `${t("model.f1")} ${one.macro_f1.toFixed(3)}`) : null,
    ),
    one.problem || one.sentence ? node(one.problem ? "p.bad" : "p", {}, (one.problem || one.sentence).replace(/。?$/, "。")) : null,
    node(
      "p.row",
      {},
      link(one.has_verdict, "verdict", "versions.verdict"),
      link(one.has_report, "report", "model.report"),
      may("administrator") && !one.current && !one.problem
        ? node("button.plain", { type: "button", onclick: promote }, t("versions.promote"))
        : null,
    ),
  );
}

export async function showPinned() {
  const { pinned } = await ask("GET", "/v1/pinned");
  find("pinned-list").replaceChildren(
    ...(pinned.length ? pinned.map(drawPinned) : [node("li.muted", {}, t("pinned.none"))]),
  );
}

function drawPinned(one) {
  const letGo = () =>
    attempt(async () => {
      await ask("DELETE", `/v1/pinned/${encodeURIComponent(one.id)}`);
      await showPinned();
    });
  return node(
    "li",
    {},
    node("b", {}, one.title || one.lead.slice(0, 30)),
    node("span.meta", {}, node("span", {}, one.themes.map(nameOf).join("、") || t("no_theme")), node("span", {}, one.by), node("span", {}, moment(one.at))),
    node("button.plain", { type: "button", onclick: letGo }, t("pinned.let_go")),
  );
}

// Shows how far the retraining is for as long as one runs; `over()` when one has ended.
export async function followRetraining(over) {
  const button = find("retrain");
  const bar = find("retrain-bar");
  let ran = false;

  function tell(status) {
    const running = status.stage === "running";
    button.disabled = running;
    bar.hidden = !running;
    bar.value = status.done;
    const stage = t(`retrain.${status.stage}`);
    find("retrain-said").replaceChildren(node("b", {}, stage), status.stage === "never" ? "" : ` ${status.sentence.replace(/。?$/, "。")}`);
    find("retrain-said").className = `stage-${status.stage}`;
    find("retrain-when").textContent = status.at ? `${moment(status.at)} ${status.by}` : "";
    return running;
  }

  async function look() {
    let running = ran;
    try {
      running = tell(await ask("GET", "/v1/retraining"));
    } catch {
      // The service may be restarting; look again.
    }
    if (ran && !running) await over();
    ran = running;
    if (running) setTimeout(look, LOOK);
  }

  button.addEventListener("click", async () => {
    button.disabled = true;
    const begun = await attempt(() => ask("POST", "/v1/retraining"));
    if (begun) tell(begun);
    ran = true;
    await look();
  });
  await look();
}
