// What readers said of an image, every row of it: asked for when somebody opens the list.

import * as api from "./api.js";
import { el } from "./elements.js";
import { CAUSES, clock, saidWords } from "./words.js";

/** @import { ImageItem, VerdictItem } from "./types.js" */

/** One row in words. @param {VerdictItem} given */
function row(given) {
  const causes = given.causes.filter((word) => word !== "other").map((word) => (CAUSES[word] ?? word).toLowerCase());
  const said = `${saidWords(given)}${causes.length > 0 ? `: ${causes.join(", ")}` : ""}`;
  const words = `${clock(given.at)} ${given.reader} ${said}.`;
  return el("li", {}, given.withdrawn_at ? el("s", {}, words) : words,
    given.withdrawn_at && ` Withdrawn ${clock(given.withdrawn_at)}.`,
    given.note && el("q", { class: "note-text" }, given.note));
}

/** The newest verdict of others or oneself that counts, in words; empty where none is told. @param {string} id */
export async function newestWords(id) {
  const { items } = await api.verdicts(id);
  const newest = items.findLast((given) => given.opinion !== "own" && !given.withdrawn_at);
  return newest ? `${newest.reader} ${saidWords(newest)} (${clock(newest.at)}).` : "";
}

export class VerdictsPanel {
  constructor() {
    this.list = el("ol");
    this.said = el("p", { role: "status" });
    this.element = el("details", { class: "verdicts", hidden: true, ontoggle: () => this.load() }, el("summary", {}, "What readers said"), this.said, this.list);
    /** @type {string | null} */
    this.id = null;
    /** How often it was asked for: an older answer says nothing new. */
    this.asked = 0;
  }

  /** @param {ImageItem | null} image */
  draw(image) {
    this.id = image?.id ?? null;
    // A withheld result is told by nothing here either.
    this.element.hidden = !image || Boolean(image.withheld) || image.verdict === undefined;
    if (this.element.hidden) this.element.open = false;
    else this.load();
  }

  async load() {
    const { id } = this;
    if (!this.element.open || !id) return;
    const turn = ++this.asked;
    try {
      const { items, withheld } = await api.verdicts(id);
      if (id !== this.id || turn !== this.asked) return;
      this.list.replaceChildren(...items.map(row));
      this.said.textContent = withheld ? "What others said is shown when you have given your verdict." : items.length > 0 ? "" : "Nobody has said anything yet.";
    } catch (error) {
      if (id === this.id && turn === this.asked) this.said.textContent = api.wordsOf(error);
    }
  }
}
