// The one way the pages talk to the API.
import { english, has, t } from "./language.js";

export class Refusal extends Error {
  constructor(status, said, told = {}) {
    super(said);
    this.status = status;
    this.told = told;
  }
}

const LOGIN = "/v1/login";

export async function ask(method, path, body, headers = {}) {
  const given = { method, headers: { ...headers } };
  if (body instanceof FormData) given.body = body;
  else if (body !== undefined) {
    given.headers["Content-Type"] = "application/json";
    given.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, given);
  } catch {
    throw new Refusal(0, t("offline"));
  }
  if (answer.status === 401 && path !== LOGIN) return leaveForLogin();
  if (answer.status === 204) return null;
  let told;
  try {
    told = await answer.json();
  } catch {
    throw new Refusal(answer.status, t("broken"));
  }
  if (!answer.ok) throw new Refusal(answer.status, sentence(told), told);
  return told;
}

// The service refuses in Chinese, with what and where; the English desk says first what kind it is.
function sentence(told) {
  const said = told.detail ?? told.title;
  const kind = told.type?.split(":").pop();
  return english && has(`refused.${kind}`) ? `${t(`refused.${kind}`)} (${said})` : said;
}

function leaveForLogin() {
  const here = location.pathname + location.search;
  location.assign(`/login?next=${encodeURIComponent(here)}`);
  return new Promise(() => {}); // the page is on its way out
}

// Only a path of our own: a link could else lead from our login to somebody else's page.
export function safeNext(next) {
  if (!next) return "/queue";
  const there = new URL(next, location.origin);
  return there.origin === location.origin && next.startsWith("/") && there.pathname !== "/login"
    ? there.pathname + there.search
    : "/queue";
}
