// Files from this page into the bucket: a few at a time, with progress, and again if one fails.

import { wordsOf } from "./api.js";
import { byId, el } from "./elements.js";
import { number } from "./words.js";

const AT_ONCE = 4;
const LISTED = 200;

/** One file on its way. */
class Sending {
  /** @param {File} file @param {string} site @param {boolean} stat */
  constructor(file, site, stat) {
    this.file = file;
    this.site = site;
    this.stat = stat;
    this.state = "waiting";
    this.said = "waiting";
    this.sent = 0;
    this.bar = el("progress", { max: 1, value: 0, "aria-label": file.name });
    this.words = el("span", { class: "said" });
    this.again = el("button", { type: "button" }, "Retry");
    this.row = el("li", {}, el("span", { class: "name", title: file.name }, file.name), this.bar, this.words, this.again);
  }

  /**
   * Sends it; resolves to the image's id. `fetch` shows no progress, so this is the older way.
   * @param {() => void} onProgress
   * @returns {Promise<string>}
   */
  send(onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.set("site", this.site);
      form.set("priority", this.stat ? "stat" : "routine");
      form.set("file", this.file, this.file.name);
      request.open("POST", "/v1/images");
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => {
        this.sent = event.lengthComputable ? event.loaded / event.total : 0;
        onProgress();
      });
      request.addEventListener("load", () => {
        if (request.status === 202 && request.response?.id) return resolve(request.response.id);
        const problem = request.response;
        return reject(new Error(problem?.detail ?? `The server answered ${request.status}.`));
      });
      request.addEventListener("error", () => reject(new Error("The connection failed.")));
      request.send(form);
    });
  }
}

/** The drop zone and everything that was dropped on it. */
class Uploads {
  /** @param {(id: string, name: string) => void} onSent for every stored file; names stay in this page */
  constructor(onSent) {
    this.onSent = onSent;
    /** @type {Sending[]} */
    this.all = [];
    this.active = 0;
    this.hidden = 0;
    byId("choose-files").addEventListener("click", () => byId("files").click());
    byId("choose-folder").addEventListener("click", () => byId("folder").click());
    for (const input of [byId("files", HTMLInputElement), byId("folder", HTMLInputElement)]) {
      input.addEventListener("change", () => {
        this.add([...input.files ?? []]);
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

  /** @param {HTMLElement} zone */
  listen(zone) {
    // A file that misses the zone must not replace the page.
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
    zone.addEventListener("dragover", () => zone.classList.add("over"));
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", async (event) => {
      zone.classList.remove("over");
      const entries = [...event.dataTransfer?.items ?? []].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
      const files = [...event.dataTransfer?.files ?? []];
      this.add(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : files);
    });
  }

  /** @param {File[]} files */
  add(files) {
    const site = byId("upload-site", HTMLInputElement);
    if (!site.reportValidity()) return;
    const visible = files.filter((file) => !file.name.startsWith("."));
    this.hidden += files.length - visible.length;
    const stat = byId("upload-stat", HTMLInputElement).checked;
    for (const file of visible) {
      const sending = new Sending(file, site.value, stat);
      sending.again.addEventListener("click", () => this.retry([sending]));
      this.all.push(sending);
    }
    this.pump();
  }

  /** @param {Sending[]} sendings */
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

  /** @param {Sending} sending */
  async start(sending) {
    this.active += 1;
    Object.assign(sending, { state: "sending", said: "sending" });
    this.drawOne(sending);
    try {
      const id = await sending.send(() => this.drawOne(sending));
      Object.assign(sending, { state: "sent", said: "stored", sent: 1 });
      this.onSent(id, sending.file.name);
    } catch (error) {
      Object.assign(sending, { state: "failed", said: `not sent: ${wordsOf(error)}` });
    }
    this.active -= 1;
    this.drawOne(sending);
    this.pump();
  }

  /** @param {Sending} sending */
  drawOne(sending) {
    const list = byId("sending-files");
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
    byId("sending-all", HTMLProgressElement).value = this.all.length ? parts / this.all.length : 0;
  }
}

/** Draws the drop zone. @param {(id: string, name: string) => void} onSent for every stored file */
export function setUpUploads(onSent) {
  return new Uploads(onSent);
}

const failed = (/** @type {Sending} */ { state }) => state === "failed";
const unfinished = (/** @type {Sending} */ { state }) => state === "waiting" || state === "sending";

/** Every file in a dropped file or folder. @param {FileSystemEntry} entry @returns {Promise<File[]>} */
async function filesOf(entry) {
  if (entry.isFile) {
    const file = /** @type {FileSystemFileEntry} */ (entry);
    return [await new Promise((resolve, reject) => file.file(resolve, reject))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {File[]} */
  const found = [];
  for (;;) {
    // A reader gives a part at a time, and nothing at the end.
    /** @type {FileSystemEntry[]} */
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) return found;
    found.push(...(await Promise.all(part.map(filesOf))).flat());
  }
}
