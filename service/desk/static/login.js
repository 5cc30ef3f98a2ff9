// 登录
import { ask, safeNext } from "./ask.js";
import { find, ready } from "./nodes.js";

const form = find("login");
const next = safeNext(new URLSearchParams(location.search).get("next"));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  find("refusal").textContent = "";
  try {
    const me = await ask("POST", "/v1/login", {
      name: form.elements.name.value,
      password: form.elements.password.value,
    });
    location.replace(me.must_change ? "/account" : next);
  } catch (refusal) {
    find("refusal").textContent = refusal.message;
    form.elements.password.value = "";
    form.elements.password.focus();
  }
  button.disabled = false;
});

ready();

// Who is logged in already, or needs no login, has nothing to do here.
const known = await fetch("/v1/me").catch(() => null);
if (known?.ok) location.replace(next);
