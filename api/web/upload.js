// Files from this page into the bucket: a few at a time, with progress, and again if one fails.

import { byId, el } from "./elements.js";
import { Problem, headersOf, sessionIsOver, signedIn, wordsOf } from "./request.js";
import { onLeave, sitesOf } from "./session.js";
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
    this.abort = () => {};
    this.bar = el("progress", { max: 1, value: 0, "aria-label": file.name });
    this.words = el("span", { class: "said" });
    this.again = el("button", { type: "button" }, "Retry");
    this.row = el("li", {}, el("span", { class: "name", title: file.name }, file.name), this.bar, this.words, this.again);
  }

  /**
   * Sends it; resolves to the image's id. Waits where the session is over.
   * @param {() => void} onProgress
   * @returns {Promise<string>}
   */
  async send(onProgress) {
    for (;;) {
      await signedIn();
      const headers = headersOf("POST");
      try {
        return await this.sendOnce(headers, onProgress);
      } catch (error) {
        if (!(error instanceof Problem && error.kind === "not-signed-in")) throw error;
        sessionIsOver(headers["Lobar-CSRF"] ?? null);
      }
    }
  }

  /**
   * `fetch` shows no progress, so this is the older way.
   * @param {Record<string, string>} headers
   * @param {() => void} onProgress
   * @returns {Promise<string>}
   */
  sendOnce(headers, onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.abort = () => request.abort();
      const form = new FormData();
      form.set("site", this.site);
      form.set("priority", this.stat ? "stat" : "routine");
      form.set("file", this.file, this.file.name);
      request.open("POST", "/v1/images");
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => {
        this.sent = event.lengthComputable ? event.loaded / event.total : 0;
        onProgress();
      });
      request.addEventListener("load", () => {
        if (request.status === 202 && request.response?.id) return resolve(request.response.id);
        const detail = request.response?.detail ?? `The server answered ${request.status}.`;
        return reject(new Problem(request.status, { type: request.response?.type, title: detail }));
      });
      request.addEventListener("error", () => reject(new Error("The connection failed.")));
      request.addEventListener("abort", () => reject(new Error("It was given up.")));
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
      if (this.isBusy()) event.preventDefault();
    });
    this.listen(byId("drop"));
    this.site = siteField();
    byId("upload-site-label").append(this.site);
    onLeave(() => this.forget());
  }

  /** Gives everything up, for good. */
  forget() {
    for (const sending of this.all) {
      sending.state = "failed";
      sending.abort();
    }
    this.all = [];
    byId("sending-files").replaceChildren();
  }

  /** Whether something is still to be sent. */
  isBusy() {
    return this.all.some(unfinished);
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
    const site = this.site;
    if (files.length === 0 || !site.reportValidity()) return;
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
      if (this.all.includes(sending)) this.onSent(id, sending.file.name);
    } catch (error) {
      Object.assign(sending, { state: "failed", said: `not sent: ${wordsOf(error)}` });
    }
    this.active -= 1;
    // Given up by `forget`.
    if (!this.all.includes(sending)) return;
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

/** Where the site of uploads is given: one of the person's own, or any for who may upload everywhere. */
function siteField() {
  const sites = sitesOf("upload");
  const common = { id: "upload-site", required: true };
  if (!sites) {
    return el("input", { ...common, value: "local", maxlength: "63", pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", spellcheck: "false", autocomplete: "off" });
  }
  const ask = sites.length > 1 ? [el("option", { value: "" }, "choose")] : [];
  return el("select", common, ...ask, ...sites.map((site) => el("option", { value: site }, site)));
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
