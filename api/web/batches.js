// Uploads, newest first: each with what became of its files.

import { hideBatch, isUnfinished, showBatch } from "./batch.js";
import { byId, el } from "./elements.js";
import { askJson, wordsOf } from "./request.js";
import { clock, number, shortId } from "./words.js";

/** @import { BatchItem, BatchList } from "./types.js" */

const PAGE = 20;
const COLUMNS = ["Upload", "When", "Site", "By", "Files", "Assessed", "A person must look", "State"];

/** Shows one upload, or all for null. @param {string | null} id */
export function showBatches(id) {
  if (id) {
    showBatch(id);
    return;
  }
  hideBatch();
  document.title = "Uploads · Lobar";
  const title = el("h1", { tabindex: "-1" }, "Uploads");
  byId("batches").replaceChildren(
    el("div", { class: "people-bar" }, el("a", { href: "#/" }, "Back to the images"), title), new BatchTable().element);
  title.focus();
}

/** Empties the page. */
export function hideBatches() {
  hideBatch();
  byId("batches").replaceChildren();
}

class BatchTable {
  constructor() {
    this.rows = el("tbody");
    this.count = el("p", { class: "muted", role: "status" });
    this.fault = el("p", { class: "form-fault", role: "alert" });
    /** @type {string | null} */
    this.next = null;
    this.more = el("button", { type: "button", hidden: true, onclick: () => this.load(this.next) }, "Older");
    this.element = el("section", { class: "card batch", "aria-label": "Uploads" }, this.count, this.fault,
      el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": "List of uploads" },
        el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ...COLUMNS.map((column) => el("th", { scope: "col" }, column)))), this.rows)),
      el("p", { class: "form-buttons" }, this.more, el("button", { type: "button", onclick: () => this.load(null) }, "Look again")));
    this.load(null);
  }

  /** Adds a page, or begins anew with the newest. @param {string | null} after */
  async load(after) {
    this.fault.textContent = "";
    try {
      const query = new URLSearchParams({ limit: String(PAGE), ...(after ? { after } : {}) });
      /** @type {BatchList} */
      const { items, next, total } = await askJson("GET", `/v1/batches?${query}`);
      if (!after) this.rows.replaceChildren();
      this.rows.append(...items.map(rowOf));
      if (this.rows.childElementCount === 0) this.rows.append(el("tr", {}, el("td", { colspan: String(COLUMNS.length), class: "muted" }, "None.")));
      this.count.textContent = `${number(total)} ${total === 1 ? "upload" : "uploads"}`;
      this.next = next;
      this.more.hidden = next === null;
    } catch (error) {
      this.fault.textContent = wordsOf(error);
    }
  }
}

/** @param {BatchItem} batch */
function rowOf(batch) {
  const { id, site, counts, files, flagged } = batch;
  const look = counts.needs_human + counts.failed;
  const ready = flagged === null ? number(counts.ready) : `${number(counts.ready)} (${number(flagged)} suspected)`;
  const cells = [
    el("a", { href: `#/batches/${id}` }, shortId(id)), clock(batch.opened_at), site ?? "–", batch.uploaded_by ?? "–", number(files),
    ready, look ? `${number(look)}${counts.failed ? ` (${number(counts.failed)} failed)` : ""}` : "–",
    isUnfinished(batch) ? "in work" : "done",
  ];
  return el("tr", { "data-batch": id }, ...cells.map((cell) => el("td", {}, cell)));
}
