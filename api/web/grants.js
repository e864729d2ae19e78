// Roles at sites, as they are read and typed: `clinician@north,south`, `operator@*`.

import { el } from "./elements.js";

/** Each role with what it may, and whether it is of use at single sites. @type {[string, string, boolean][]} */
const ROLES = [
  ["clinician", "reads images, gives verdicts, uploads", true],
  ["reader", "sees images and results", true],
  ["uploader", "uploads, and sees no images", true],
  ["operator", "runs queues, quarantine and models; sees no images", false],
  ["auditor", "reads the record of who did what", false],
  ["admin", "manages people, tokens and sites, erases images; sees none", false],
];

/** One grant to be typed. */
class GrantLine {
  /** @param {string} role @param {string} sites @param {() => void} remove */
  constructor(role, sites, remove) {
    const options = ROLES.map(([name, words]) => el("option", { value: name, selected: name === role }, `${name}: ${words}`));
    this.role = el("select", { "aria-label": "Role" }, ...options);
    this.sites = el("input", { type: "text", required: true, "aria-label": "Sites: names with commas between them, * for all", placeholder: "north, south or * for all", spellcheck: "false", autocomplete: "off", list: "site-names" });
    this.sites.value = sites;
    this.role.addEventListener("change", () => this.suit());
    this.element = el("div", { class: "grant", role: "group", "aria-label": "A role and its sites" }, this.role, el("span", {}, "at"), this.sites,
      el("button", { type: "button", "aria-label": "Remove this role", onclick: remove }, "Remove"));
    this.suit();
  }

  /** A role over all of Lobar is held at every site. */
  suit() {
    const isOfSites = ROLES.find(([name]) => name === this.role.value)?.[2] ?? true;
    if (!isOfSites) this.sites.value = "*";
    this.sites.readOnly = !isOfSites;
  }

  value() {
    const sites = this.sites.value.split(",").map((site) => site.trim()).filter(Boolean);
    return `${this.role.value}@${sites.join(",")}`;
  }
}

/** A list of grants to be typed. */
export class GrantsField {
  /** @param {string[]} grants */
  constructor(grants) {
    /** @type {GrantLine[]} */
    this.lines = [];
    this.list = el("div", { class: "grants" });
    this.element = el("fieldset", {}, el("legend", {}, "Roles"), this.list,
      el("button", { type: "button", onclick: () => this.add("reader", "") }, "Add a role"));
    for (const grant of grants) {
      const at = grant.indexOf("@");
      this.add(grant.slice(0, at), grant.slice(at + 1).split(",").join(", "));
    }
  }

  /** @param {string} role @param {string} sites */
  add(role, sites) {
    const line = new GrantLine(role, sites, () => {
      this.lines = this.lines.filter((other) => other !== line);
      line.element.remove();
    });
    this.lines.push(line);
    this.list.append(line.element);
  }

  values() {
    return this.lines.map((line) => line.value());
  }
}
