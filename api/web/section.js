// A part of the people's page: a list that is asked for, and a form that adds to it.

import { el } from "./elements.js";
import { askJson, wordsOf } from "./request.js";

/** @template Item */
export class Section {
  /**
   * @param {string} title
   * @param {string[]} columns
   * @param {string} path of the list
   * @param {(item: Item) => (Node | string)[]} cells
   */
  constructor(title, columns, path, cells) {
    this.path = path;
    this.cells = cells;
    this.rows = el("tbody");
    this.said = el("p", { class: "form-fault", role: "alert" });
    this.words = el("p", { class: "muted" });
    const id = `section-${title.toLowerCase()}`;
    const heads = columns.map((column) => el("th", { scope: "col" }, column || el("span", { class: "unseen" }, "Actions")));
    this.element = el("section", { class: "card", "aria-labelledby": id }, el("h2", { id }, title), this.words,
      el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": `List: ${title}` },
        el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ...heads)), this.rows)), this.said);
    this.load();
  }

  /** Puts something below the list, which is opened on demand. @param {string} title @param {Node} part */
  add(title, part) {
    this.element.append(el("details", {}, el("summary", {}, title), part));
  }

  /** @param {string} words */
  say(words) {
    this.words.textContent = words;
  }

  load() {
    return this.attempt(async () => {}, true);
  }

  /** Does something, and draws the list as it is then. @param {() => Promise<unknown>} does @param {boolean} [onlyLoad] */
  async attempt(does, onlyLoad = false) {
    this.said.textContent = "";
    try {
      await does();
    } catch (error) {
      this.said.textContent = wordsOf(error);
      if (onlyLoad) return;
    }
    try {
      this.draw(await this.all());
    } catch (error) {
      this.said.textContent = wordsOf(error);
    }
  }

  /** The whole list, page by page. @returns {Promise<Item[]>} */
  async all() {
    const items = [];
    /** @type {string | null | undefined} */
    let next = null;
    do {
      const path = next ? `${this.path}?after=${encodeURIComponent(next)}` : this.path;
      /** @type {{ items: Item[], next?: string | null }} */
      const page = await askJson("GET", path);
      items.push(...page.items);
      next = page.next;
    } while (next);
    return items;
  }

  /** @param {Item[]} items */
  draw(items) {
    // The focus stays where it was, on the button of the same words.
    const { activeElement: focused } = document;
    const label = this.rows.contains(focused) ? focused?.getAttribute("aria-label") : null;
    this.rows.replaceChildren(...items.map((item) => el("tr", {}, ...this.cells(item).map((cell) => el("td", {}, cell)))));
    if (items.length === 0) this.rows.append(el("tr", {}, el("td", { colspan: "9", class: "muted" }, "None.")));
    if (!label) return;
    const again = this.rows.querySelector(`[aria-label="${CSS.escape(label)}"]`);
    if (again instanceof HTMLElement) again.focus();
  }
}
