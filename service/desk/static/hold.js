// The soft lock: others see who is looking at an article, for as long as she is.
import { ask } from "./ask.js";
import { t } from "./language.js";

const RENEW = 60_000; // milliseconds; a lock lasts twice as long

export function holdLock() {
  let held = null;
  let timer = null;

  function letGo() {
    clearInterval(timer);
    if (held) fetch(`/v1/submissions/${held}/lock`, { method: "DELETE", keepalive: true }).catch(() => {});
    held = null;
  }

  async function renew(id) {
    try {
      await ask("POST", `/v1/submissions/${id}/lock`);
      return "";
    } catch (refusal) {
      return refusal.status === 409 ? refusal.message : "";
    }
  }

  addEventListener("pagehide", letGo);

  return {
    // Takes the lock of an article and lets the last one go; answers why not, or "".
    async take(id) {
      if (held !== id) letGo();
      const why = await renew(id);
      if (why) return why;
      held = id;
      clearInterval(timer);
      timer = setInterval(() => !document.hidden && renew(id), RENEW);
      return "";
    },
    // The service has let it go by itself.
    forget(id) {
      if (held !== id) return;
      clearInterval(timer);
      held = null;
    },
  };
}
