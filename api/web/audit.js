// The page of auditors: the record of who saw and did what, newest first.

import { check } from "./chain.js";
import { byId, el } from "./elements.js";
import { Form, labelled } from "./forms.js";
import { ask, askJson, wordsOf } from "./request.js";
import { clock, shortId } from "./words.js";

/** @import { Entry } from "./chain.js" */

const PAGE = 50;
/** Entries in one request of an export. */
const EXPORTED = 1_000;
const COLUMNS = ["Number", "Time", "Who", "Did what", "Image", "Site", "Detail"];

/** Fills the page. */
export function showAudit() {
  document.title = "Audit · Lobar";
  const title = el("h1", { tabindex: "-1" }, "Who saw and did what");
  byId("audit").replaceChildren(
    el("div", { class: "people-bar" }, el("a", { href: "#/" }, "Back"), title), new AuditList().element);
  title.focus();
}

/** Empties it. */
export function hideAudit() {
  byId("audit").replaceChildren();
}

class AuditList {
  constructor() {
    this.rows = el("tbody");
    this.said = el("p", { class: "form-fault", role: "alert" });
    this.chain = el("p", { class: "muted", role: "status", id: "chain" });
    this.more = el("button", { type: "button", hidden: true, onclick: () => this.attempt(() => this.load(this.last)) }, "Older");
    this.action = input("opinion_given", "audit-action");
    this.actor = input("id of an account or a token", "audit-actor");
    this.image = input("id of an image", "audit-image");
    this.since = el("input", { type: "date", id: "audit-since" });
    this.until = el("input", { type: "date", id: "audit-until" });
    /** The number of the last entry shown. @type {number | null} */
    this.last = null;
    /** @type {Entry[]} */
    this.entries = [];
    const filters = [labelled("Action", this.action), labelled("Person or machine", this.actor), labelled("Image", this.image),
      labelled("From", this.since), labelled("Before", this.until)];
    const form = new Form("Show", filters, () => this.load(null));
    this.element = el("section", { class: "card", "aria-label": "Audit record" }, form.element, this.chain,
      el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": "Entries" },
        el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ...COLUMNS.map((column) => el("th", { scope: "col" }, column)))), this.rows)),
      this.said, el("p", { class: "form-buttons" }, this.more,
        el("button", { type: "button", onclick: () => this.attempt(() => this.export()) }, "Export all (NDJSON)")));
    this.attempt(() => this.load(null));
  }

  /** The filter in the server's words. */
  filter() {
    const words = { action: this.action.value.trim(), actor: this.actor.value.trim(), image: this.image.value.trim(), since: this.since.value, until: this.until.value };
    return Object.entries(words).filter(([, value]) => value);
  }

  /** Shows the entries before a number, or the newest ones. @param {number | null} before */
  async load(before) {
    const filter = this.filter();
    const query = new URLSearchParams([...filter, ["limit", String(PAGE)]]);
    if (before !== null) query.set("before", String(before));
    /** @type {{ items: Entry[] }} */
    const { items } = await askJson("GET", `/v1/audit?${query}`);
    if (before === null) {
      this.rows.replaceChildren();
      this.entries = [];
    }
    this.entries.push(...items);
    this.last = this.entries.at(-1)?.number ?? null;
    this.rows.append(...items.map((entry) => this.row(entry)));
    if (this.entries.length === 0) this.rows.append(el("tr", {}, el("td", { colspan: "7", class: "muted" }, "None.")));
    this.more.hidden = items.length < PAGE;
    this.chain.textContent = await chainWords(this.entries, filter.length === 0);
  }

  /** @param {Entry} entry */
  row(entry) {
    const who = entry.actor_id === null ? entry.actor || entry.actor_kind
      : el("button", { type: "button", title: entry.actor_id, onclick: () => this.narrow(this.actor, entry.actor_id ?? "") }, entry.actor);
    const image = entry.image === null ? "–"
      : el("button", { type: "button", title: entry.image, onclick: () => this.narrow(this.image, entry.image ?? "") }, shortId(entry.image));
    const cells = [String(entry.number), clock(new Date(entry.at / 1000).toISOString()), el("span", {}, who, entry.role ? ` (${entry.role})` : ""),
      entry.action, image, entry.site ?? "–", entry.detail === "{}" ? "" : entry.detail];
    return el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
  }

  /** Shows entries of this person or image alone. @param {HTMLInputElement} field @param {string} id */
  narrow(field, id) {
    field.value = id;
    this.attempt(() => this.load(null));
  }

  /** The whole record from its beginning, as `lobar audit verify --file` takes it. */
  async export() {
    /** @type {string[]} */
    const parts = [];
    let after = 0;
    for (;;) {
      const text = await (await ask("GET", `/v1/audit?format=ndjson&after=${after}&limit=${EXPORTED}`)).text();
      const lines = text.trimEnd().split("\n").filter(Boolean);
      if (lines.length === 0) break;
      parts.push(text);
      /** @type {Entry} */
      const last = JSON.parse(lines.at(-1) ?? "{}");
      after = last.number;
      // Each request is an entry itself: what comes in less than whole pages is the end.
      if (lines.length < EXPORTED) break;
    }
    const url = URL.createObjectURL(new Blob(parts, { type: "application/x-ndjson" }));
    el("a", { href: url, download: "lobar-audit.ndjson" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  /** @param {() => Promise<unknown>} does */
  async attempt(does) {
    this.said.textContent = "";
    try {
      await does();
    } catch (error) {
      this.said.textContent = wordsOf(error);
    }
  }
}

/** @param {string} hint @param {string} id */
const input = (hint, id) => el("input", { type: "text", id, placeholder: hint, autocomplete: "off", spellcheck: "false" });

/** @param {Entry[]} entries @param {boolean} whole whether none between them is left out */
async function chainWords(entries, whole) {
  if (!crypto.subtle) return "Over plain HTTP this browser cannot check the chain: lobar audit verify does.";
  const broken = await check(entries, whole);
  if (broken !== null) return `The chain is broken at entry ${broken}. Run lobar audit verify.`;
  return whole ? `These ${entries.length} entries are one unbroken chain.` : `Each of these ${entries.length} entries is as it was written.`;
}
