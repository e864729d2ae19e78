// One upload: what became of each of its files, another try for what failed, and its images as a file.

import { setQuery } from "./address.js";
import { byId, el } from "./elements.js";
import { Problem, askJson, wordsOf } from "./request.js";
import { may } from "./session.js";
import { clock, number, shortId } from "./words.js";

/** @import { BatchItem } from "./types.js" */

/** How often it is looked at while files are on their way, and afterwards, in ms. */
const SOON = 2_000;
const LATER = 15_000;

/** What files are counted as, in words. @type {[keyof BatchItem["counts"], string][]} */
const COUNTS = [
  ["arriving", "In the bucket, not in the list yet"],
  ["queued", "Queued"],
  ["analysing", "Analysing"],
  ["ready", "Assessed"],
  ["needs_human", "Not assessed: a person must look"],
  ["failed", "Failed: a person must look"],
  ["superseded", "Replaced by a newer upload"],
  ["removed", "Removed"],
  ["erased", "Erased"],
  ["put_aside", "No image by name and content: put aside"],
];

/** @type {BatchView | null} */
let shown = null;

/** Whether files are still on their way. @param {BatchItem} batch */
export const isUnfinished = ({ counts }) => counts.arriving + counts.queued + counts.analysing > 0;

/** Shows an upload. @param {string} id */
export function showBatch(id) {
  if (shown?.id === id) return;
  hideBatch();
  shown = new BatchView(id);
  byId("batches").replaceChildren(
    el("div", { class: "people-bar" }, el("a", { href: "#/batches" }, "All uploads"), shown.title), shown.element);
  shown.title.focus();
}

/** Gives it up. */
export function hideBatch() {
  shown?.close();
  shown = null;
}

/** A table of words and numbers. @param {string} title @param {string[]} columns @param {HTMLElement} body */
const table = (title, columns, body) => el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": title },
  el("table", { class: "plain counts" }, el("caption", { class: "unseen" }, title),
    el("thead", {}, el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)))), body));

/** A row of the counts. @param {string} words @param {number} count @param {boolean} [isPart] of the row before */
const row = (words, count, isPart = false) => el("tr", isPart ? { class: "part" } : {}, el("th", { scope: "row" }, words), el("td", {}, number(count)));

class BatchView {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    document.title = `Upload ${shortId(id)} · Lobar`;
    this.title = el("h1", { tabindex: "-1" }, `Upload ${shortId(id)}`);
    this.facts = el("p", { class: "muted", id: "batch-facts" }, "Asking…");
    this.counts = el("tbody");
    this.reasons = el("tbody");
    this.said = el("p", { role: "status" });
    this.fault = el("p", { class: "form-fault", role: "alert" });
    this.again = el("button", { type: "button", id: "batch-retry", disabled: true, hidden: true, onclick: () => this.retry() }, "Try again what failed");
    const path = `/v1/batches/${encodeURIComponent(id)}/export`;
    const images = el("a", { class: "button", href: `?batch=${id}`, onclick: (/** @type {Event} */ event) => this.follow(event) }, "Show its images");
    this.element = el("section", { class: "card batch", "aria-label": "Upload" }, this.facts,
      el("p", { class: "form-buttons" }, images, this.again,
        el("a", { class: "button", href: `${path}?format=csv`, download: "" }, "Export CSV"),
        el("a", { class: "button", href: `${path}?format=ndjson`, download: "" }, "Export NDJSON")),
      this.said, this.fault,
      table("What became of its files", ["State", "Files"], this.counts),
      table("Why images were not assessed", ["Reason", "Images"], this.reasons));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.isOpen = true;
    this.load();
  }

  close() {
    this.isOpen = false;
    clearTimeout(this.timer);
  }

  /** Shows its images in the list. @param {Event} event */
  follow(event) {
    event.preventDefault();
    setQuery({ batch: this.id, show: "", patient: "", site: "", order: "" });
  }

  /** @param {boolean} [byItself] whether nobody has asked for it */
  async load(byItself = false) {
    clearTimeout(this.timer);
    let rest = LATER;
    try {
      /** @type {BatchItem} */
      const batch = await askJson("GET", `/v1/batches/${encodeURIComponent(this.id)}`, { byItself });
      if (!this.isOpen) return;
      this.draw(batch);
      this.fault.textContent = "";
      if (isUnfinished(batch)) rest = SOON;
    } catch (error) {
      if (!this.isOpen) return;
      const gone = error instanceof Problem && error.status === 404;
      this.fault.textContent = gone ? "No such upload is known: none of its files has arrived, or its time is over." : wordsOf(error);
      if (gone) this.facts.textContent = "";
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (document.hidden ? this.later() : this.load(true)), rest);
  }

  /** Nobody looks at it now. */
  later() {
    if (this.isOpen) this.timer = setTimeout(() => (document.hidden ? this.later() : this.load(true)), SOON);
  }

  /** @param {BatchItem} batch */
  draw(batch) {
    const { counts, flagged, duplicates, reasons, site } = batch;
    const opened = clock(batch.opened_at);
    const last = clock(batch.last_at);
    this.facts.textContent = [
      `${number(batch.files)} ${batch.files === 1 ? "file" : "files"}`, site ? `site ${site}` : "site not known",
      batch.uploaded_by ? `uploaded by ${batch.uploaded_by}` : "put into the bucket", last === opened ? opened : `${opened} to ${last}`,
    ].join(" · ");
    // Every row is always there: what changes moves nothing.
    this.counts.replaceChildren(...COUNTS.flatMap(([name, words]) => {
      const own = row(words, counts[name]);
      return name === "ready" && flagged !== null ? [own, row("of these: suspected pneumonia", flagged, true)] : [own];
    }), row("of all files: there before this upload", duplicates, true));
    this.reasons.replaceChildren(...reasons.map(({ status, reason, reason_text: text, images }) => el("tr", {},
      el("th", { scope: "row", title: reason }, status === "failed" ? `Failed: ${text}` : text), el("td", {}, number(images)))));
    if (reasons.length === 0) this.reasons.append(el("tr", {}, el("td", { colspan: "2", class: "muted" }, "None.")));
    this.again.hidden = !may("upload", site);
    this.again.disabled = counts.failed === 0;
  }

  async retry() {
    this.fault.textContent = "";
    try {
      /** @type {import("./types.js").BatchRetried} */
      const { images } = await askJson("POST", `/v1/batches/${encodeURIComponent(this.id)}/retry`);
      this.said.textContent = `${number(images)} ${images === 1 ? "image is" : "images are"} queued again.`;
    } catch (error) {
      this.fault.textContent = wordsOf(error);
    }
    await this.load();
  }
}
