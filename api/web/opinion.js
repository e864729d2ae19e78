// What a reader says of an image: three buttons, a note, why it is not assessable, and the newest verdict in words.

import * as api from "./api.js";
import { byId, el } from "./elements.js";
import { keptThough } from "./kept.js";
import { keyElement } from "./keymap.js";
import { may } from "./session.js";
import { offerUndo } from "./undo.js";
import { VerdictsPanel, newestWords } from "./verdicts.js";
import { CAUSES, opinionWords, shortId } from "./words.js";

/** @import { ImageItem, VerdictBody, VerdictMark } from "./types.js" */

/** How long a button must have meant what it means before a key presses it, in ms. Of clicks, pointer.js takes care. */
const SETTLED = 300;

/** Why a result is withheld of which its reader says first what they see. */
const OWN = "own_opinion_first";

/** Most letters of a note, as the server takes it. */
const LONGEST = 1_000;

/** What was typed of images and not sent yet: it stays while other images are looked at, in this page's memory alone. @type {Map<string, { note: string, causes: string[] }>} */
const drafts = new Map();

/** A button: its word, its key, what it gives. @typedef {[string, string, VerdictBody]} Choice */
/** A verdict that was pressed: on what, and by what was on the screen. @typedef {{ image: ImageItem, verdict: VerdictBody, displayed: { displayed: string[], rendering: string | null } }} Press */

/** Whether it was kept is not known yet. */
const UNKNOWN = "Whether your verdict was kept is not known yet";

/**
 * A verdict was not kept, or may not have been, and its image is not open any more: says so over the page, until its image is
 * opened again.
 * @param {string} id @param {string} what @param {string} why
 */
function notKept(id, what, why) {
  const notice = byId("not-kept");
  const image = el("a", { href: `#/images/${id}`, onclick: () => { notice.hidden = true; } }, shortId(id));
  notice.replaceChildren(`${what}: image `, image, `. ${why}`);
  notice.dataset.image = id;
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

/**
 * Where another reader has read it, and what they said is kept from this one until they have given their own verdict.
 * @param {ImageItem} image
 */
function blindWords({ reading, verdict }) {
  const readers = reading?.readers;
  if (!readers || readers.mine || verdict || readers.given === 0 || readers.given >= readers.needed) return null;
  return "Another reader has given a verdict. It is shown when you have given yours.";
}

export class OpinionPanel {
  /**
   * @param {() => { displayed: string[], rendering: string | null }} displayed what is on the screen, and which rendering of the picture
   * @param {(id: string) => Promise<void> | undefined} changed is called when the image must be asked for again; resolves when it was
   */
  constructor(displayed, changed) {
    this.displayed = displayed;
    this.changed = changed;
    this.words = el("p", { role: "status" });
    this.buttons = el("p", { class: "opinion-buttons" });
    this.title = el("h2");
    this.note = el("textarea", { id: "verdict-note", rows: 1, maxLength: LONGEST, oninput: () => this.keepDraft() });
    this.noteField = el("p", { class: "field" }, el("label", { for: this.note.id }, "Note"), this.note, el("small", { id: "verdict-note-hint" }, "Kept with your verdict, and read by whoever may see the image."));
    this.note.setAttribute("aria-describedby", "verdict-note-hint");
    this.boxes = Object.entries(CAUSES).map(([word, words]) =>
      el("label", { class: "check" }, el("input", { type: "checkbox", value: word, onchange: () => this.keepDraft() }), ` ${words}`));
    this.causes = el("fieldset", { class: "causes", hidden: true, onkeydown: (/** @type {KeyboardEvent} */ event) => { if (event.key === "Escape") this.closeCauses(event); } },
      el("legend", {}, "Why is it not assessable?"), ...this.boxes,
      el("p", { class: "opinion-buttons" },
        el("button", { type: "button", class: "primary", onclick: () => this.giveCauses() }, "Not assessable"),
        el("button", { type: "button", onclick: () => this.closeCauses() }, "Cancel")));
    /** What is newer than what the reader looked at. */
    this.newer = el("p", { class: "fault", role: "alert", hidden: true });
    this.said = new VerdictsPanel();
    this.element = el("section", { class: "opinion", hidden: true }, this.title, this.buttons, this.causes, this.noteField, this.newer, this.words, this.said.element);
    /** Until what was asked for after an own verdict is there. @type {Promise<void> | undefined} */
    this.renewed = undefined;
    /** @type {ImageItem | null} */
    this.image = null;
    /** What is on its way. @type {Press | null} */
    this.giving = null;
    /** What was pressed since then: it is given next, if that is kept. @type {Press | null} */
    this.next = null;
    /** What came of the last press where it was not kept, and which verdict was the newest then. @type {{ words: string, newest: string | null } | null} */
    this.fault = null;
    /** How often a verdict was given here: what becomes known of an older one says nothing any more. */
    this.given = 0;
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
    this.noteField.hidden = !isOwn || isFirst;
    this.element.hidden = !offered;
    this.said.draw(image);
    if (!image || !offered) return;
    const means = this.key(image);
    if (before === null) this.takeDraft(image.id);
    else if (before !== means) this.causes.hidden = true;
    if (!isOwn) this.buttons.replaceChildren();
    else if (before !== means) {
      if (before) this.changedAt = performance.now();
      this.buttons.replaceChildren(...offered.map(([word, key, verdict]) =>
        el("button", { type: "button", "data-key": key.toLowerCase(), "data-means": means, onclick: () => this.pressed(verdict) }, word, " ", keyElement(key))));
    }
    const given = image.verdict;
    offered.forEach(([, , verdict], place) => {
      const same = given?.opinion === verdict.opinion && (verdict.label ? given.label === verdict.label : true);
      this.buttons.children[place]?.setAttribute("aria-pressed", String(Boolean(same)));
    });
    // Whatever is newer says more.
    if (this.fault && this.fault.newest !== (given?.id ?? null)) this.fault = null;
    this.words.className = this.fault ? "fault" : "";
    this.words.textContent = this.fault ? this.fault.words : isFirst ? "The network's result is shown as soon as you have said it. You can change your mind then." : blindWords(image) ?? opinionWords(given);
  }

  /** Not assessable asks why; everything else is given at once. @param {VerdictBody} verdict */
  pressed(verdict) {
    if (verdict.opinion !== "not_assessable") {
      this.give(verdict);
      return;
    }
    this.causes.hidden = false;
    this.boxes[0]?.querySelector("input")?.focus();
  }

  /** What is ticked is why; something else must be said. */
  giveCauses() {
    if (this.ticked().includes("other") && !this.note.value.trim()) {
      this.say("Say in the note what makes it not assessable.");
      this.note.focus();
      return;
    }
    this.give({ opinion: "not_assessable" });
  }

  /** Says what keeps a verdict from being kept, until another one is given or known. @param {string} words */
  say(words) {
    this.fault = { words, newest: this.image?.verdict?.id ?? null };
    this.words.className = "fault";
    this.words.textContent = words;
  }

  /** @param {Event} [event] the key that did it: it leads nowhere else */
  closeCauses(event) {
    event?.stopPropagation();
    this.causes.hidden = true;
    const button = this.buttons.querySelector('[data-key="n"]');
    if (button instanceof HTMLElement) button.focus();
  }

  /** What was ticked. */
  ticked() {
    return [...this.causes.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);
  }

  keepDraft() {
    if (this.image) drafts.set(this.image.id, { note: this.note.value, causes: this.ticked() });
  }

  /** What was typed of an image before. @param {string} id */
  takeDraft(id) {
    const draft = drafts.get(id);
    this.note.value = draft?.note ?? "";
    for (const box of this.causes.querySelectorAll("input")) box.checked = draft?.causes.includes(box.value) ?? false;
  }

  /** A verdict on an image was kept, and what was typed for it with it. @param {string} id */
  dropDraft(id) {
    drafts.delete(id);
    if (this.image?.id !== id) return;
    this.takeDraft(id);
    if (this.causes.contains(document.activeElement)) this.closeCauses();
    this.causes.hidden = true;
  }

  /** Says what is newer than what was looked at. @param {string} id @param {string} what */
  async tellNewer(id, what) {
    const result = "This image was analysed anew since you looked at it.";
    const verdict = async () => {
      const words = await newestWords(id).catch(() => "");
      return words ? `A newer verdict is there: ${words}` : "A verdict was withdrawn since you looked at it.";
    };
    const words = `Your verdict was not kept. ${what === "result" ? result : await verdict()} Look again, then give it again; what you have typed is still here.`;
    if (this.image?.id !== id) return;
    this.newer.textContent = words;
    this.newer.hidden = false;
  }

  /** What the offered buttons depend on. @param {ImageItem | null} image */
  key(image) {
    return image && [image.id, image.status, image.withheld, image.result?.model.version, image.result?.flagged].join();
  }

  /** Gives a verdict, after the one that is on its way: of several that are pressed meanwhile the last one is meant. @param {VerdictBody} verdict */
  async give(verdict) {
    if (!this.image) return;
    // As they are now: what is kept meanwhile clears them.
    const causes = verdict.opinion === "not_assessable" ? { causes: this.ticked() } : {};
    const note = this.note.value.trim() ? { note: this.note.value } : {};
    const press = { image: this.image, verdict: { ...verdict, ...causes, ...note }, displayed: this.displayed() };
    if (this.giving) {
      this.next = JSON.stringify(press.verdict) === JSON.stringify(this.giving.verdict) ? null : press;
      return;
    }
    this.giving = press;
    while (this.giving) {
      const kept = await this.send(this.giving);
      this.giving = kept ? this.next : null;
      this.next = null;
    }
  }

  /** Sends a verdict; whether it was kept. @param {Press} press @returns {Promise<boolean>} */
  async send({ image: pressed, verdict, displayed }) {
    // What was asked for after the verdict before says what is newest by now.
    await this.renewed;
    const image = this.image;
    if (!image || this.key(image) !== this.key(pressed)) {
      await this.tellNewer(pressed.id, "result");
      return false;
    }
    this.fault = null;
    this.given += 1;
    try {
      if (verdict.opinion === "own") {
        await api.giveOpinion(image.id, { label: verdict.label ?? null, rendering: displayed.rendering });
        this.changed(image.id);
        // What was pressed since then was pressed before the result was shown.
        this.next = null;
        return true;
      }
      const version = image.result?.model.version ?? null;
      this.keep(image.id, await api.giveVerdict(image.id, { ...verdict, model_version: version, ...displayed }, image.verdicts_etag));
      return true;
    } catch (error) {
      if (api.isPassing(error)) this.find(image, verdict, error);
      else await this.refused(image, error);
      return false;
    }
  }

  /** A verdict was kept. @param {string} id of its image @param {VerdictMark} given */
  keep(id, given) {
    this.newer.hidden = true;
    this.dropDraft(id);
    offerUndo(id, given.id, this.changed);
    if (this.image?.id === id) this.draw({ ...this.image, verdict: given });
    // What was asked before the verdict may be answered after it.
    this.renewed = this.changed(id);
  }

  /** Another image is shown by now, in a panel of its own. @param {string} id */
  isGone(id) {
    return !this.element.isConnected || this.image?.id !== id;
  }

  /** A verdict was refused. @param {ImageItem} image @param {unknown} error */
  async refused({ id }, error) {
    if (this.isGone(id)) {
      notKept(id, "Your verdict was not kept. Give it again", api.wordsOf(error));
    } else if (error instanceof api.Problem && error.status === 412) {
      this.renewed = this.changed(id);
      await this.tellNewer(id, error.newer);
    } else {
      this.say(api.wordsOf(error));
      if (error instanceof api.Problem && error.status === 409) this.changed(id);
    }
  }

  /** Finds out whether a verdict was kept whose answer was lost. @param {ImageItem} image @param {VerdictBody} verdict @param {unknown} error */
  async find({ id, verdict: before }, verdict, error) {
    const turn = this.given;
    const why = api.wordsOf(error);
    const tell = (/** @type {string} */ what) => {
      if (this.isGone(id)) notKept(id, what, why);
      else if (turn === this.given) this.say(`${what}. ${why}`);
    };
    // An event may have told of it before.
    const known = this.image?.id === id && this.image.verdict?.id !== before?.id;
    if (!known) tell(UNKNOWN);
    try {
      const kept = await keptThough(id, verdict, before?.id ?? null);
      if (!kept) tell("Your verdict was not kept. Give it again");
      else if (verdict.opinion === "own") this.changed(id);
      else if (turn === this.given) this.keep(id, kept);
      if (kept && byId("not-kept").dataset.image === id) byId("not-kept").hidden = true;
    } catch {
      tell(UNKNOWN);
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
