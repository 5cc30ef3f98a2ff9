// 登录. No module, and not deferred: it listens before there is a form, so that no Enter is lost.
"use strict";

const wish = new URLSearchParams(location.search).get("next");

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, password } = event.target.elements;
  const button = event.target.querySelector("button");
  const refused = document.getElementById("refusal");
  button.disabled = true;
  refused.textContent = "";
  try {
    const { ask, safeNext } = await import("./ask.js");
    const given = { name: name.value, password: password.value };
    const me = await ask("POST", "/v1/login", given);
    location.replace(me.must_change ? "/account" : safeNext(wish));
  } catch (refusal) {
    refused.textContent = refusal.message;
    password.value = "";
    password.focus();
  }
  button.disabled = false;
});

// Who is logged in already, or needs no login, has nothing to do here.
(async () => {
  const known = await fetch("/v1/me").catch(() => null);
  if (known?.ok) location.replace((await import("./ask.js")).safeNext(wish));
})();
