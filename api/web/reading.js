// Who reads what: how far an image has been read, in words; that one is open in front of this reader; the next one to read.

import { open } from "./address.js";
import { claim, list, release } from "./api.js";
import { isCovered } from "./covered.js";
import { byId, el } from "./elements.js";
import { originalOf } from "./keymap.js";
import { keysAreOff } from "./keys.js";
import { isAbort, isPaused, sinceActed, wordsOf } from "./request.js";
import { may, session } from "./session.js";
import { clock, duration } from "./words.js";

/** @import { ClaimBody, ImageItem, ReadingBody } from "./types.js" */

/** How often an open image is claimed again while its reader is at work, in ms. Far below the server's lease. */
const AGAIN = 60_000;
/** Pages that are looked through for the next image. */
const PAGES = 10;

/** Whether a claim is over by now: no event tells. @param {ReadingBody} reading */
const hasLapsed = ({ until }) => until !== null && Date.parse(until) <= Date.now();

/** Another reader's name, or "you". @param {string} name */
const whom = (name) => (name === session().name ? "you" : name);

/**
 * How far an image has been read, in words; empty where it is not there to be read.
 * @param {ImageItem} image
 * @returns {{ word: string, more: string, state: string }}
 */
export function readingWords(image) {
  const reading = image.reading;
  if (!reading) return { word: "", more: "", state: "none" };
  const { state, by, waiting_since: since, overdue_at: due } = reading;
  const waited = since ? `waits ${duration((Date.now() - Date.parse(since)) / 1000)}` : "";
  const overdue = due && Date.parse(due) <= Date.now() ? "overdue, " : "";
  if (state === "reading" && !hasLapsed(reading)) return { word: `Reading now: ${whom(by ?? "somebody")}`, more: overdue + waited, state };
  const { given, needed, mine } = reading.readers ?? { given: 0, needed: 1, mine: false };
  if (state === "partly_read") return { word: `${given} of ${needed} read${mine ? ": you" : ""}`, more: overdue + waited, state: overdue && !mine ? "overdue" : state };
  if (state === "disagreement") return { word: "Readers differ", more: `a third one decides, ${waited}`, state: overdue && !mine ? "overdue" : state };
  if (state === "verified") return { word: `Verified${by ? `: ${whom(by)}` : ""}`, more: reading.since ? clock(reading.since) : "", state };
  if (state === "read") return { word: `Read${by ? `: ${whom(by)}` : ""}, no verdict`, more: overdue + waited, state: overdue ? "overdue" : state };
  return { word: "Unread", more: overdue + waited, state: overdue ? "overdue" : "unread" };
}

/** The same as an element of a row. @param {ImageItem} image */
export function readingElement(image) {
  const { word, more, state } = readingWords(image);
  if (!word) return el("span", { class: "muted", "aria-label": "not to be read" }, "–");
  return el("span", { class: "reading", "data-reading": state }, el("span", {}, word), el("small", {}, more));
}

/** Keeps the claim on the image that is open, and warns where another reader has it. */
export class Claims {
  constructor() {
    this.notice = byId("reader");
    /** @type {string | null} */
    this.id = null;
    /** Whether this reader has it, as far as the server said. */
    this.isOwn = false;
    /** @type {Set<string>} */
    this.passed = new Set();
    setInterval(() => { if (this.id && sinceActed() < AGAIN) this.ask(this.id, false); }, AGAIN);
    addEventListener("pagehide", () => this.close());
    addEventListener("keydown", (event) => this.key(event));
  }

  /** An image was opened. @param {string} id */
  open(id) {
    if (this.id === id) return;
    this.close();
    this.id = id;
    this.passed.add(id);
    this.ask(id, false);
  }

  /** None is open any more. */
  close() {
    const { id, isOwn } = this;
    this.id = null;
    this.isOwn = false;
    this.notice.hidden = true;
    // What is not given back lapses by itself.
    if (id && isOwn && !isPaused()) release(id).catch(() => {});
  }

  /** @param {string} id @param {boolean} takeOver */
  async ask(id, takeOver) {
    try {
      const claimed = await claim(id, takeOver);
      if (id !== this.id) {
        // It was closed meanwhile.
        if (claimed.mine) await release(id);
        return;
      }
      this.isOwn = claimed.mine;
      this.draw(id, claimed);
    } catch (error) {
      // It warns, and never keeps anybody from reading.
      if (takeOver && !isAbort(error) && id === this.id) this.say(`It was not taken over. ${wordsOf(error)}`);
    }
  }

  /** @param {string} id @param {ClaimBody} claimed */
  draw(id, { mine, by, since }) {
    if (mine || by === null || since === null) {
      this.notice.hidden = true;
      return;
    }
    const words = `${by} has this image open since ${clock(since)}. You can read it all the same.`;
    // Who may give no verdict anywhere takes nothing over.
    if (may("give_verdicts")) this.say(words, el("button", { type: "button", onclick: () => this.ask(id, true) }, "Take over"));
    else this.say(words);
  }

  /** @param {(string | Node)[]} words */
  say(...words) {
    this.notice.replaceChildren(...words);
    this.notice.hidden = false;
  }

  /**
   * Opens the next image that waits and that nobody reads; one that was open on this page comes last.
   * @returns {Promise<void>}
   */
  async next() {
    const site = new URLSearchParams(location.search).get("site");
    const filter = new URLSearchParams({ order: "urgency", ...(site ? { site } : {}) });
    /** @type {string | null} */
    let after = null;
    for (let page = 0; page < PAGES; page += 1) {
      const found = await list(filter, after, 50);
      const free = found.items.find((image) => !this.passed.has(image.id) && !this.isTaken(image));
      if (free) return open(free.id);
      if (!found.next) break;
      after = found.next;
    }
    if (this.passed.size > (this.id ? 1 : 0)) {
      // Once round: what was left open without a verdict waits still.
      this.passed = new Set(this.id ? [this.id] : []);
      return this.next();
    }
    return this.say("Nothing else waits for a reader here.");
  }

  /** Whether another reader has it open. @param {ImageItem} image */
  isTaken({ reading }) {
    return reading?.state === "reading" && !hasLapsed(reading) && reading.by !== session().name;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { target } = event;
    if (originalOf(event.key) !== "U" || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (keysAreOff()) return;
    if (isCovered() || !(target instanceof Element)) return;
    if (target.matches("input:not([type=range]), textarea, select")) return;
    // Of people and the audit record there is no next image.
    if (byId("worklist").hidden && byId("viewer").hidden) return;
    event.preventDefault();
    this.next().catch((error) => { if (!isAbort(error)) this.say(wordsOf(error)); });
  }
}
