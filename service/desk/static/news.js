// Live arrival: what happens at the desk, as it happens, while somebody looks.
const KINDS = ["received", "tagged", "settled", "unsure", "undone"];
const TOGETHER = 700; // milliseconds; a page of twelve articles is one piece of news

// Calls `heard(how many)`, which says whether it has shown them.
export function follow(heard) {
  let stream = null;
  let last = null;
  let count = 0;
  let timer = null;

  function open() {
    if (stream || document.hidden) return;
    // A page that was hidden has lost the browser's memory of where it was.
    stream = new EventSource(last ? `/v1/events?after=${last}` : "/v1/events");
    for (const kind of KINDS) {
      stream.addEventListener(kind, (event) => {
        last = event.lastEventId;
        count += 1;
        timer ??= setTimeout(async () => {
          timer = null;
          if (await heard(count)) count = 0;
        }, TOGETHER);
      });
    }
  }

  function close() {
    stream?.close();
    stream = null;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}
