// A verdict that was just given can be taken back for ten seconds, from wherever on the page: by a button and by a key.

import * as api from "./api.js";
import { isCovered } from "./covered.js";
import { byId, el } from "./elements.js";
import { keyElement, originalOf } from "./keymap.js";
import { keysAreOff } from "./keys.js";
import { say } from "./said.js";
import { shortId } from "./words.js";

/** How long it is offered, in ms. */
const OFFERED = 10_000;
const KEY = "Z";

/** What is offered. @typedef {{ image: string, verdict: string, done: (id: string) => void }} Offer */

/** @type {Offer | null} */
let offer = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Offers it no longer. */
function end() {
  clearTimeout(timer);
  offer = null;
  byId("undo").hidden = true;
}

/** Takes the verdict back that is offered; whether there was one. */
function undo() {
  const taken = offer;
  if (!taken) return false;
  const hadFocus = byId("undo").contains(document.activeElement);
  end();
  // What was pressed is gone: the focus goes to what is shown.
  if (hadFocus) byId("viewer").querySelector("h1")?.focus();
  api.withdrawVerdict(taken.image, taken.verdict).then(() => {
    say("Your verdict was taken back.");
    taken.done(taken.image);
  }, (error) => say(`It was not taken back. ${api.wordsOf(error)}`));
  return true;
}

/**
 * Offers to take a verdict back.
 * @param {string} image
 * @param {string} verdict
 * @param {(id: string) => void} done is told when it was
 */
export function offerUndo(image, verdict, done) {
  end();
  // What was said of the one before.
  say("");
  offer = { image, verdict, done };
  const bar = byId("undo");
  bar.replaceChildren(`Your verdict on image ${shortId(image)} was kept.`,
    el("button", { type: "button", onclick: () => undo() }, "Take it back ", keyElement(KEY)));
  bar.hidden = false;
  wait();
}

/** Whoever is at the button has the time that they need. */
function wait() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (byId("undo").matches(":focus-within, :hover")) wait();
    else end();
  }, OFFERED);
}

addEventListener("keydown", (event) => {
  const { target } = event;
  if (originalOf(event.key) !== KEY || event.repeat || event.ctrlKey || event.metaKey || event.altKey || keysAreOff()) return;
  if (isCovered() || !(target instanceof Element)) return;
  if (target.matches("input:not([type=range]):not([type=checkbox]), textarea, select")) return;
  if (undo()) event.preventDefault();
});
