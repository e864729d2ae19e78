// Files from this page into the bucket: a few at a time, with progress, and again if one fails.

import { byId, el } from "./elements.js";
import { number } from "./words.js";

const AT_ONCE = 4;
const LISTED = 200;

/** One file on its way. */
class Sending {
  constructor(file, site, stat) {
    Object.assign(this, { file, site, stat, state: "waiting", sent: 0, said: "waiting" });
  }

  /** Sends it; resolves to the image's id. `fetch` shows no progress, so this is the older way. */
  send(onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.set("site", this.site);
      form.set("priority", this.stat ? "stat" : "routine");
      form.set("file", this.file, this.file.name);
      request.open("POST", "/v1/images");
      request.responseType = "json";
      request.upload.onprogress = (event) => {
        this.sent = event.lengthComputable ? event.loaded / event.total : 0;
        onProgress();
      };
      request.onload = () => {
        if (request.status === 202 && request.response?.id) return resolve(request.response.id);
        const problem = request.response;
        return reject(new Error(problem?.detail ?? `The server answered ${request.status}.`));
      };
      request.onerror = () => reject(new Error("The connection failed."));
      request.send(form);
    });
  }
}

/** The drop zone and everything that was dropped on it. */
export class Uploads {
  /** `onSent(id, name)` for every stored file. Names stay in this page. */
  constructor(onSent) {
    this.onSent = onSent;
    this.all = [];
    this.active = 0;
    this.hidden = 0;
    byId("choose-files").addEventListener("click", () => byId("files").click());
    byId("choose-folder").addEventListener("click", () => byId("folder").click());
    for (const input of [byId("files"), byId("folder")]) {
      input.addEventListener("change", () => {
        this.add([...input.files]);
        input.value = "";
      });
    }
    byId("retry-all").addEventListener("click", () => this.retry(this.all.filter(failed)));
    byId("clear-sent").addEventListener("click", () => this.clear());
    addEventListener("beforeunload", (event) => {
      if (this.all.some(unfinished)) event.preventDefault();
    });
    this.listen(byId("drop"));
  }

  listen(zone) {
    // A file that misses the zone must not replace the page.
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
    zone.addEventListener("dragover", () => zone.classList.add("over"));
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", async (event) => {
      zone.classList.remove("over");
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const files = [...event.dataTransfer.files];
      this.add(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : files);
    });
  }

  add(files) {
    const site = byId("upload-site");
    if (!site.reportValidity()) return;
    const visible = files.filter((file) => !file.name.startsWith("."));
    this.hidden += files.length - visible.length;
    const stat = byId("upload-stat").checked;
    this.all.push(...visible.map((file) => new Sending(file, site.value, stat)));
    this.pump();
  }

  retry(sendings) {
    for (const sending of sendings) Object.assign(sending, { state: "waiting", said: "waiting", sent: 0 });
    this.pump();
  }

  clear() {
    this.all = this.all.filter(unfinished);
    this.hidden = 0;
    byId("sending-files").replaceChildren();
    this.draw();
  }

  pump() {
    for (const sending of this.all) {
      if (this.active >= AT_ONCE) break;
      if (sending.state === "waiting") this.start(sending);
    }
    this.draw();
  }

  async start(sending) {
    this.active += 1;
    Object.assign(sending, { state: "sending", said: "sending" });
    this.drawOne(sending);
    try {
      const id = await sending.send(() => this.drawOne(sending));
      Object.assign(sending, { state: "sent", said: "stored", sent: 1 });
      this.onSent(id, sending.file.name);
    } catch (error) {
      Object.assign(sending, { state: "failed", said: `not sent: ${error.message}` });
    }
    this.active -= 1;
    this.drawOne(sending);
    this.pump();
  }

  drawOne(sending) {
    const list = byId("sending-files");
    if (!sending.row) {
      sending.bar = el("progress", { max: 1, value: 0, "aria-label": sending.file.name });
      sending.words = el("span", { class: "said" });
      sending.again = el("button", { type: "button", onclick: () => this.retry([sending]) }, "Retry");
      sending.row = el("li", {}, el("span", { class: "name", title: sending.file.name }, sending.file.name),
        sending.bar, sending.words, sending.again);
    }
    if (!sending.row.isConnected) list.append(sending.row);
    sending.row.dataset.state = sending.state;
    sending.bar.value = sending.sent;
    sending.words.textContent = sending.said;
    sending.again.hidden = sending.state !== "failed";
    if (list.childElementCount > LISTED) list.querySelector("[data-state='sent']")?.remove();
    this.drawAll();
  }

  draw() {
    this.drawAll();
    byId("retry-all").hidden = this.all.filter(failed).length < 2;
    byId("clear-sent").hidden = this.all.some(unfinished) || this.all.length === 0;
  }

  drawAll() {
    byId("sending").hidden = this.all.length === 0 && this.hidden === 0;
    const sent = this.all.filter(({ state }) => state === "sent").length;
    const lost = this.all.filter(failed).length;
    byId("sending-words").textContent = `${number(sent)} of ${number(this.all.length)} sent`
      + (lost ? `, ${number(lost)} failed` : "")
      + (this.hidden ? `; ${number(this.hidden)} hidden files left out` : "");
    const parts = this.all.reduce((sum, { sent: part }) => sum + part, 0);
    byId("sending-all").value = this.all.length ? parts / this.all.length : 0;
  }
}

const failed = ({ state }) => state === "failed";
const unfinished = ({ state }) => state === "waiting" || state === "sending";

/** Every file in a dropped file or folder. */
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // A reader gives a part at a time, and nothing at the end.
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) return found;
    found.push(...(await Promise.all(part.map(filesOf))).flat());
  }
}
