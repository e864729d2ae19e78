// Earlier images of the same patient: a list, the course of their scores, and one of them beside the image that is open.

import * as api from "./api.js";
import { courseElement } from "./course.js";
import { el } from "./elements.js";
import { watch } from "./exposure.js";
import { madeWords, who } from "./patient.js";
import { bandElement, verdictElement, warnedElement } from "./rows.js";
import { Pane } from "./stage.js";
import { drawThumbnail } from "./thumbnails.js";
import { band } from "./words.js";

/** @import { Pixels } from "./pixels.js" */
/** @import { ImageItem } from "./types.js" */

export class PriorsPanel {
  /**
   * @param {AbortSignal} signal ends with the view
   * @param {Pixels} pixels
   * @param {() => void} changed is called when something else is to be drawn beside the image
   * @param {(pane: Pane) => void} opened is called with each pane that is put beside the image
   */
  constructor(signal, pixels, changed, opened) {
    this.signal = signal;
    this.pixels = pixels;
    this.changed = changed;
    this.opened = opened;
    /** @type {Pane | null} */
    this.pane = null;
    /** @type {ImageItem | null} */
    this.image = null;
    /** @type {ImageItem[]} */
    this.items = [];
    /** Which one is shown beside. @type {string | null} */
    this.chosen = null;
    this.asked = 0;
    this.words = el("p", { role: "status" });
    this.list = el("ul", { class: "priors-list" });
    this.course = el("div");
    this.element = el("section", { class: "priors", "aria-labelledby": "priors-title", hidden: true },
      el("h2", { id: "priors-title" }, "Priors"), this.words, this.list, this.course);
    /** The place beside the picture. */
    this.beside = el("figure", { class: "prior", hidden: true });
    signal.addEventListener("abort", () => this.pane?.end());
  }

  /** Asks for the priors of an image, where its patient is known. @param {ImageItem} image */
  async load(image) {
    const turn = ++this.asked;
    this.image = image;
    this.element.hidden = !image.patient;
    if (!image.patient) return;
    try {
      const items = await api.priors(image.id, this.signal);
      if (turn !== this.asked) return;
      this.items = items;
      this.draw(image.patient.id
        ? `No earlier image of ${who(image.patient)} is known here.`
        : "The image names no patient: which ones are earlier is not known.");
    } catch (error) {
      if (api.isAbort(error) || turn !== this.asked) return;
      this.items = [];
      this.draw(api.wordsOf(error));
    }
  }

  /** @param {string} none what is said where there are none */
  draw(none) {
    this.words.textContent = this.items.length === 0 ? none : "Choose one to see it beside this image.";
    const focus = this.list.querySelector(":focus")?.getAttribute("data-id");
    this.list.replaceChildren(...this.items.map((item) => this.line(item)));
    if (focus) /** @type {HTMLElement | null} */ (this.list.querySelector(`[data-id="${focus}"]`))?.focus();
    const course = this.image && courseElement(this.image, this.items);
    this.course.replaceChildren(...(course ? [course] : []));
    const chosen = this.items.find(({ id }) => id === this.chosen);
    if (chosen) this.caption(chosen);
    else this.hide();
  }

  /** @param {ImageItem} item */
  line(item) {
    const word = verdictElement(item);
    if (item.result) watch(word, item.id, item.result.model.sha256, "flag");
    const small = el("span", { class: "small" });
    drawThumbnail(small, item);
    const button = el("button", { type: "button", "data-id": item.id, "aria-pressed": String(item.id === this.chosen), onclick: () => this.toggle(item) },
      small, el("span", {}, [madeWords(item), item.instance?.view_position].filter(Boolean).join(", ")));
    return el("li", {}, button, word, warnedElement(item));
  }

  /** @param {ImageItem} item */
  async toggle(item) {
    const open = item.id !== this.chosen;
    this.hide();
    if (!open) return;
    this.chosen = item.id;
    this.press();
    const pane = new Pane(`Prior chest X-ray, ${madeWords(item)}`, this.changed);
    this.pane = pane;
    this.opened(pane);
    const absent = el("p", { role: "status" }, "Loading the prior…");
    this.beside.replaceChildren(absent, pane.element, el("figcaption"));
    this.caption(item);
    this.beside.hidden = false;
    this.changed();
    try {
      const { url } = await this.pixels.picture(item.id);
      if (this.pane !== pane) return;
      pane.picture.src = url;
      await pane.picture.decode();
      absent.remove();
      pane.element.hidden = false;
      this.changed();
      const film = await this.pixels.film(item.id);
      if (this.pane !== pane) return;
      pane.show(film);
      this.changed();
    } catch (error) {
      // What was painted of it stays: eight bits are better than none.
      if (api.isAbort(error) || this.pane !== pane || !absent.isConnected) return;
      absent.textContent = error instanceof DOMException ? "What arrived is no picture that can be shown." : api.wordsOf(error);
    }
  }

  /** Shows the newest one beside, or none. */
  toggleNewest() {
    const newest = this.items.find(({ id }) => id === this.chosen) ?? this.items[0];
    if (newest) this.toggle(newest);
  }

  /** The date and the result of the one that is shown. @param {ImageItem} item */
  caption(item) {
    const word = verdictElement(item);
    const warned = warnedElement(item);
    const parts = [el("strong", {}, `Prior, ${madeWords(item)}`), ...(warned ? [warned] : []), word];
    if (item.result) {
      watch(word, item.id, item.result.model.sha256, "word");
      const score = el("span", { class: "prior-score" }, `Score ${band(item.result)}`, bandElement(item.result));
      watch(score, item.id, item.result.model.sha256, "probability");
      parts.push(score);
    }
    this.beside.querySelector("figcaption")?.replaceChildren(...parts);
  }

  hide() {
    this.chosen = null;
    this.pane?.end();
    this.pane = null;
    this.beside.hidden = true;
    this.beside.replaceChildren();
    this.press();
    this.changed();
  }

  press() {
    for (const button of this.list.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.id === this.chosen));
    }
  }
}
