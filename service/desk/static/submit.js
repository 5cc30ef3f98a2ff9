// 投稿: paste, drop files, drop a page.
import { ask } from "./ask.js";
import { cutting } from "./cutting.js";
import { sending } from "./sending.js";
import { attempt, may, say } from "./frame.js";
import { t } from "./language.js";
import { find, node, ready } from "./nodes.js";

const paste = find("paste");
const files = sending();
const page = cutting({ closed: () => (find("ways").hidden = false) });

find("only-editors").hidden = may("editor");

// The same key for the same words: pressed twice, stored once.
let key = { of: "", value: "" };

function keyOf(words) {
  if (key.of !== words) key = { of: words, value: crypto.randomUUID() };
  return key.value;
}

paste.addEventListener("submit", async (event) => {
  event.preventDefault();
  const article = { title: paste.elements.title.value, text: paste.elements.text.value };
  await attempt(async () => {
    const headers = { "Idempotency-Key": keyOf(JSON.stringify(article)) };
    const told = await ask("POST", "/v1/submissions", article, headers);
    paste.reset();
    for (const one of told.submissions) {
      const words = t("submit.accepted", { title: one.title || one.lead.slice(0, 24) });
      find("accepted").prepend(node("li", {}, words, " ", node("a", { href: `/slips/${one.id}` }, t("submit.see"))));
    }
  });
});

async function split(body, file = null) {
  await attempt(async () => {
    const found = await ask("POST", "/v1/pages/split", body);
    find("ways").hidden = true;
    page.open(found, file);
  });
}

find("split").addEventListener("click", () => {
  const text = [paste.elements.title.value, paste.elements.text.value].filter(Boolean).join("\n\n");
  if (text.trim()) split({ page: text }).then(() => find("ways").hidden && paste.reset());
  else paste.elements.text.focus();
});

function splitFile(file) {
  const form = new FormData();
  form.append("file", file);
  return split(form, file);
}

find("page-file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) splitFile(file);
  event.target.value = "";
});
find("files").addEventListener("change", (event) => {
  files.add([...event.target.files]);
  event.target.value = "";
});
find("again-all").addEventListener("click", () => files.again());

function landing(place, land) {
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    land([...event.dataTransfer.files]);
  });
}

landing(find("drop-page"), (dropped) => {
  if (dropped.length === 1) splitFile(dropped[0]);
  else if (dropped.length) say(t("submit.page_hint"), { bad: true });
});
landing(find("drop-files"), (dropped) => dropped.length && files.add(dropped));
// A file dropped beside the places must not replace the page with itself.
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
}

ready();
