// One file on its way from this page into the bucket, with its progress.

import { el } from "./elements.js";
import { Problem, headersOf, sessionIsOver, signedIn } from "./request.js";

/** What became of a file: the image's id; whether it is put aside, since it is none. @typedef {{ id: string, isAside: boolean }} Sent */

/** One file on its way. */
export class Sending {
  /** @param {File} file @param {string} site @param {boolean} stat @param {string} batch */
  constructor(file, site, stat, batch) {
    this.file = file;
    this.site = site;
    this.stat = stat;
    this.batch = batch;
    this.state = "waiting";
    this.said = "waiting";
    this.sent = 0;
    this.isAside = false;
    this.abort = () => {};
    this.bar = el("progress", { max: 1, value: 0, "aria-label": file.name });
    this.words = el("span", { class: "said" });
    this.again = el("button", { type: "button" }, "Retry");
    this.row = el("li", {}, el("span", { class: "name", title: file.name }, file.name), this.bar, this.words, this.again);
  }

  /**
   * Sends it. Waits where the session is over.
   * @param {() => void} onProgress
   * @returns {Promise<Sent>}
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
   * @returns {Promise<Sent>}
   */
  sendOnce(headers, onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.abort = () => request.abort();
      const form = new FormData();
      form.set("site", this.site);
      form.set("priority", this.stat ? "stat" : "routine");
      form.set("batch", this.batch);
      form.set("file", this.file, this.file.name);
      request.open("POST", "/v1/images");
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => {
        this.sent = event.lengthComputable ? event.loaded / event.total : 0;
        onProgress();
      });
      request.addEventListener("load", () => {
        if (request.status === 202 && request.response?.id) return resolve({ id: request.response.id, isAside: Boolean(request.response.put_aside) });
        const detail = request.response?.detail ?? `The server answered ${request.status}.`;
        return reject(new Problem(request.status, { type: request.response?.type, title: detail }));
      });
      request.addEventListener("error", () => reject(new Error("The connection failed.")));
      request.addEventListener("abort", () => reject(new Error("It was given up.")));
      request.send(form);
    });
  }
}

/** An id for what is uploaded together: a random UUID (RFC 9562, version 4), also where the page comes over plain HTTP. */
export function newBatch() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export const failed = (/** @type {Sending} */ { state }) => state === "failed";
export const unfinished = (/** @type {Sending} */ { state }) => state === "waiting" || state === "sending";
