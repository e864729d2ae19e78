// Small pictures in lists of images: of those that stay in the window for a moment, one after another, so that whoever
// scrolls by, or opens an image, waits for none. They are kept in this page's memory alone.

import * as api from "./api.js";
import { el } from "./elements.js";
import { onLeave } from "./session.js";

/** @import { ImageItem } from "./types.js" */

/** How long a box must be in the window before its picture is asked for, in ms. */
const REST = 200;
/** How many are kept; beyond that the one goes that was shown first. */
const KEPT = 500;
/** How soon one is asked for again that did not come, in ms. */
const AGAIN = 10_000;

/** Object URLs by image; null where there is no picture. @type {Map<string, string | null>} */
const kept = new Map();
/** Whose picture is in each box. @type {WeakMap<Element, string>} */
const shown = new WeakMap();
/** Boxes in the window that have rested, in the order in which they are to be filled. @type {HTMLElement[]} */
const queue = [];
/** What waits for each box: until it has rested, or until it is tried again. @type {Map<Element, ReturnType<typeof setTimeout>>} */
const resting = new Map();
/** What is asked for now. @type {{ box: HTMLElement, abort: AbortController } | null} */
let asked = null;

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    leave(target);
    if (!target.isConnected) observer.unobserve(target);
    else if (isIntersecting && target instanceof HTMLElement) wait(target, REST);
  }
});

/** A box is to be filled after a while, if it is still in the window then. @param {HTMLElement} box @param {number} ms */
function wait(box, ms) {
  resting.set(box, setTimeout(() => {
    resting.delete(box);
    queue.push(box);
    next();
  }, ms));
}

/** Nothing is to be fetched for a box any more. @param {Element} box */
function leave(box) {
  clearTimeout(resting.get(box));
  resting.delete(box);
  const at = queue.findIndex((one) => one === box);
  if (at >= 0) queue.splice(at, 1);
  if (asked?.box === box) asked.abort.abort();
}

/** Fills the next box. */
async function next() {
  if (asked) return;
  const box = queue.shift();
  const id = box && shown.get(box);
  if (!box || !id) return;
  const abort = new AbortController();
  asked = { box, abort };
  try {
    if (!kept.has(id)) {
      const { url } = await api.png(id, "thumbnail", abort.signal, true);
      // The image may have been removed, or its reader gone, while it came.
      if (abort.signal.aborted) URL.revokeObjectURL(url);
      else keep(id, url);
    }
  } catch (error) {
    if (error instanceof api.Problem && [404, 410].includes(error.status)) keep(id, null);
    else if (!abort.signal.aborted) wait(box, AGAIN);
  }
  asked = null;
  paint(box, id);
  next();
}

/** @param {string} id @param {string | null} url */
function keep(id, url) {
  forget(id);
  kept.set(id, url);
  const [oldest] = kept.keys();
  if (kept.size > KEPT && oldest !== undefined) forget(oldest);
}

/** @param {string} id */
function forget(id) {
  const url = kept.get(id);
  if (url) URL.revokeObjectURL(url);
  kept.delete(id);
}

/** Shows what is there of an image, in its box; whether that is all that there will be. @param {HTMLElement} box @param {string} id */
function paint(box, id) {
  const url = kept.get(id);
  if (url === undefined || shown.get(box) !== id) return false;
  observer.unobserve(box);
  // Whose it is stands beside it, and opens it.
  box.replaceChildren(...(url ? [el("img", { src: url, alt: "", draggable: false })] : []));
  return true;
}

/** Draws the picture of an image into a box, as soon as that rests in the window. @param {HTMLElement} box @param {ImageItem} image */
export function drawThumbnail(box, { id, status }) {
  if (status === "removed") {
    forget(id);
    shown.delete(box);
    observer.unobserve(box);
    leave(box);
    box.replaceChildren();
    return;
  }
  if (shown.get(box) === id) return;
  shown.set(box, id);
  if (!paint(box, id)) observer.observe(box);
}

onLeave(() => {
  observer.disconnect();
  for (const box of [...resting.keys(), ...queue]) leave(box);
  asked?.abort.abort();
  for (const id of kept.keys()) forget(id);
});
