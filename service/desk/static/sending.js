// Many files on their way in, each with a key of its own, so that a retry stores nothing twice.
import { ask } from "./ask.js";
import { t } from "./language.js";
import { find, node } from "./nodes.js";

const AT_ONCE = 2;

export function sending() {
  const jobs = [];
  let running = 0;

  function add(files) {
    for (const file of files) {
      const said = node("span.said", { role: "status" });
      const line = node("li", {}, node("b", {}, file.name), " ", said);
      const job = { file, key: crypto.randomUUID(), state: "waiting", said, line };
      jobs.push(job);
      find("sent").append(line);
      tell(job, t("submit.waiting"));
    }
    run();
  }

  function tell(job, ...words) {
    job.line.className = job.state;
    job.said.replaceChildren(...words);
  }

  function run() {
    while (running < AT_ONCE) {
      const job = jobs.find((one) => one.state === "waiting");
      if (!job) break;
      running += 1;
      job.state = "sending";
      send(job).finally(() => {
        running -= 1;
        run();
      });
    }
    count();
  }

  async function send(job) {
    tell(job, t("submit.sending"));
    const form = new FormData();
    form.append("files", job.file);
    try {
      const { submissions } = await ask("POST", "/v1/submissions", form, { "Idempotency-Key": job.key });
      job.state = "stored";
      const [first] = submissions;
      const href = submissions.length > 1 && first.page ? `/queue?page=${first.page}` : `/slips/${first.id}`;
      tell(job, t("submit.stored", { n: submissions.length }), " ", node("a", { href }, t("submit.see")));
    } catch (refusal) {
      job.state = "failed";
      const again = node("button.plain", { type: "button", onclick: () => retry(job) }, t("submit.again"));
      tell(job, refusal.message, " ", again);
    }
  }

  function retry(job) {
    job.state = "waiting";
    tell(job, t("submit.waiting"));
    run();
  }

  function count() {
    const done = jobs.filter((one) => one.state === "stored").length;
    const failed = jobs.filter((one) => one.state === "failed").length;
    find("progress").hidden = !jobs.length;
    find("progress-bar").max = jobs.length || 1;
    find("progress-bar").value = done + failed;
    const words = [t("submit.progress", { done, all: jobs.length })];
    if (failed) words.push(t("submit.failed", { n: failed }));
    find("progress-said").textContent = words.join(" · ");
    find("again-all").hidden = failed < 2;
  }

  return {
    add,
    again: () => jobs.filter((one) => one.state === "failed").forEach(retry),
  };
}
