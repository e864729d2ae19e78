// What a reader says of an image: three buttons, and the newest verdict in words.

import * as api from "./api.js";
import { byId, el } from "./elements.js";
import { keyElement } from "./keymap.js";
import { may } from "./session.js";
import { opinionWords, shortId } from "./words.js";

/** @import { ImageItem, VerdictBody } from "./types.js" */

/** How long a button must have meant what it means before a key presses it, in ms. Of clicks, pointer.js takes care. */
const SETTLED = 300;

/** Why a result is withheld of which its reader says first what they see. */
const OWN = "own_opinion_first";

/** A button: its word, its key, what it gives. @typedef {[string, string, VerdictBody]} Choice */

/**
 * A verdict was not kept, and its image is not open any more: says so over the page, until its image is opened again.
 * @param {string} id @param {string} why
 */
function notKept(id, why) {
  const notice = byId("not-kept");
  const image = el("a", { href: `#/images/${id}`, onclick: () => { notice.hidden = true; } }, shortId(id));
  notice.replaceChildren("Your verdict was not kept. Give it again: image ", image, `. ${why}`);
  notice.hidden = false;
}

/**
 * The verdict that agreeing, disagreeing or neither comes to; null where the image takes none.
 * @param {ImageItem} image
 * @returns {Choice[] | null}
 */
function choices(image) {
  const other = { opinion: "not_assessable" };
  if (image.withheld) {
    return image.withheld === OWN ? [["Pneumonia", "P", { opinion: "own", label: "PNEUMONIA" }], ["No pneumonia", "O", { opinion: "own", label: "NORMAL" }], ["Not assessable", "N", { opinion: "own", label: null }]] : null;
  }
  if (image.status === "ready" && image.result) {
    const label = image.result.flagged ? "NORMAL" : "PNEUMONIA";
    return [["Agree", "A", { opinion: "agree" }], ["Disagree", "D", { opinion: "disagree", label }], ["Not assessable", "N", other]];
  }
  if (image.status === "needs_human" || image.status === "failed") {
    return [["Pneumonia", "P", { opinion: "disagree", label: "PNEUMONIA" }], ["No pneumonia", "O", { opinion: "disagree", label: "NORMAL" }], ["Not assessable", "N", other]];
  }
  return null;
}

export class OpinionPanel {
  /**
   * @param {() => { displayed: string[], rendering: string | null }} displayed what is on the screen, and which rendering of the picture
   * @param {(id: string) => void} changed is called when the image must be asked for again
   */
  constructor(displayed, changed) {
    this.displayed = displayed;
    this.changed = changed;
    this.words = el("p", { role: "status" });
    this.buttons = el("p", { class: "opinion-buttons" });
    this.title = el("h2");
    this.element = el("section", { class: "opinion", hidden: true }, this.title, this.buttons, this.words);
    /** @type {ImageItem | null} */
    this.image = null;
    this.busy = false;
    /** When the buttons of a shown image came to mean another thing. */
    this.changedAt = -Infinity;
  }

  /** Draws the panel for an image; the focus stays on the button that has it. @param {ImageItem | null} image */
  draw(image) {
    const before = this.key(this.image);
    this.image = image;
    const offered = image && choices(image);
    const isOwn = image !== null && may("give_verdicts", image.site);
    const isFirst = image?.withheld === OWN;
    this.title.textContent = isFirst ? "What do you see?" : isOwn ? "Your verdict" : "Verdict";
    this.element.ariaLabel = this.title.textContent;
    this.buttons.hidden = !isOwn;
    this.element.hidden = !offered;
    if (!image || !offered) return;
    const means = this.key(image);
    if (!isOwn) this.buttons.replaceChildren();
    else if (before !== means) {
      if (before) this.changedAt = performance.now();
      this.buttons.replaceChildren(...offered.map(([word, key, verdict]) =>
        el("button", { type: "button", "data-key": key.toLowerCase(), "data-means": means, onclick: () => this.give(verdict) }, word, " ", keyElement(key))));
    }
    const given = image.verdict;
    offered.forEach(([, , verdict], place) => {
      const same = given?.opinion === verdict.opinion && (verdict.label ? given.label === verdict.label : true);
      this.buttons.children[place]?.setAttribute("aria-pressed", String(Boolean(same)));
    });
    this.words.className = "";
    this.words.textContent = isFirst ? "The network's result is shown as soon as you have said it. You can change your mind then." : opinionWords(given);
  }

  /** What the offered buttons depend on. @param {ImageItem | null} image */
  key(image) {
    return image && [image.id, image.status, image.withheld, image.result?.model.version, image.result?.flagged].join();
  }

  /** @param {VerdictBody} verdict */
  async give(verdict) {
    const image = this.image;
    if (this.busy || !image) return;
    this.busy = true;
    try {
      if (verdict.opinion === "own") {
        await api.giveOpinion(image.id, { label: verdict.label ?? null, rendering: this.displayed().rendering });
        this.changed(image.id);
        return;
      }
      const version = image.result?.model.version ?? null;
      const given = await api.giveVerdict(image.id, { ...verdict, model_version: version, ...this.displayed() });
      if (this.image?.id === image.id) this.draw({ ...this.image, verdict: given });
      // What was asked before the verdict may be answered after it.
      this.changed(image.id);
    } catch (error) {
      if (this.image?.id !== image.id) {
        notKept(image.id, api.wordsOf(error));
        return;
      }
      this.words.className = "fault";
      this.words.textContent = api.wordsOf(error);
      if (error instanceof api.Problem && error.status === 409) this.changed(image.id);
    } finally {
      this.busy = false;
    }
  }

  /** Presses the button of a key; whether there is one. @param {string} key */
  press(key) {
    const button = this.element.hidden ? null : this.buttons.querySelector(`[data-key="${CSS.escape(key)}"]`);
    const settled = performance.now() - this.changedAt >= SETTLED;
    if (button instanceof HTMLElement && settled) button.click();
    return Boolean(button);
  }
}
