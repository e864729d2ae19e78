// What of the network's answers is really painted before its user's eyes, and for how long. The server keeps it: it is by
// what was visible, not by what was sent, that an opinion can have been changed.

import { isPaused, send } from "./request.js";

/** A part of an answer. @typedef {"flag" | "word" | "probability" | "heatmap"} Part */
/** A stretch of time in which the same parts could be seen. @typedef {{ id: string, image: string, visible: Part[], from: number, to: number }} Stretch */

/** How often it is looked at what is visible where nothing says that it has changed, in ms. */
const LOOK = 500;
/** How often it is told, in ms. */
const TELL = 5_000;
/** Stretches in one request. */
const TOGETHER = 100;
/** Stretches that wait while the server cannot be reached; beyond that the oldest go. */
const WAITING = 2_000;
/** How much of an element must be in the window. */
const ENOUGH = 0.5;

/** What each watched element shows, and whether it is in the window; null until the browser has said so. @type {Map<Element, { image: string, part: Part, inside: boolean | null }>} */
const watched = new Map();
/** What is visible now, by image. @type {Map<string, { visible: Part[], from: number }>} */
const open = new Map();
/** @type {Stretch[]} */
let ended = [];
let telling = false;

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const known = watched.get(target);
    if (known) known.inside = isIntersecting;
  }
  look();
}, { threshold: ENOUGH });

/** An element shows a part of the answer about an image from its next painting on. @param {Element} element @param {string} image @param {Part} part */
export function watch(element, image, part) {
  const known = watched.get(element);
  if (known?.image === image && known.part === part) return;
  unwatch(element);
  watched.set(element, { image, part, inside: null });
  observer.observe(element);
}

/** An element shows nothing of any answer any more. @param {Element} element */
export function unwatch(element) {
  if (!watched.delete(element)) return;
  observer.unobserve(element);
  look();
}

/** Nothing of any image is known any more. */
export function forgetExposures() {
  observer.disconnect();
  watched.clear();
  open.clear();
  ended = [];
}

/** Looks at what is visible, and ends and begins stretches by it. */
function look() {
  /** @type {Map<string, Set<Part>>} */
  const now = new Map();
  /** Images whose view was just drawn anew. @type {Set<string>} */
  const drawn = new Set();
  const isSeen = document.visibilityState === "visible";
  for (const [element, { image, part, inside }] of watched) {
    if (!element.isConnected) {
      watched.delete(element);
      observer.unobserve(element);
    } else if (isSeen && inside === null) {
      drawn.add(image);
    } else if (isSeen && inside && element.checkVisibility({ visibilityProperty: true })) {
      now.set(image, (now.get(image) ?? new Set()).add(part));
    }
  }
  const at = performance.now();
  for (const [image, { visible, from }] of open) {
    if (drawn.has(image)) continue;
    const parts = now.get(image);
    if (parts && visible.length === parts.size && visible.every((part) => parts.has(part))) continue;
    open.delete(image);
    ended.push({ id: newId(), image, visible, from, to: at });
  }
  for (const [image, parts] of now) {
    if (!open.has(image)) open.set(image, { visible: [...parts], from: at });
  }
  if (ended.length > WAITING) ended.splice(0, ended.length - WAITING);
}

/** Tells the server what has ended. What it does not take is told again. @param {boolean} [leaving] */
async function tell(leaving = false) {
  if (ended.length === 0 || isPaused() || (telling && !leaving)) return;
  telling = true;
  const batch = ended.slice(0, TOGETHER);
  const at = performance.now();
  const items = batch.map(({ id, image, visible, from, to }) =>
    ({ id, image, visible, ago_ms: Math.ceil(at - from), ms: Math.floor(to - from) }));
  try {
    await send("POST", "/v1/exposure", { body: { items }, byItself: true, keepalive: leaving });
    ended = ended.filter((stretch) => !batch.includes(stretch));
  } catch {
    // The next one tries again, with the same ids.
  } finally {
    telling = false;
  }
}

/** A UUID of random bits; `crypto.randomUUID` is not there over plain HTTP. */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte, place) => {
    const fixed = place === 6 ? (byte & 0x0f) | 0x40 : place === 8 ? (byte & 0x3f) | 0x80 : byte;
    return fixed.toString(16).padStart(2, "0");
  }).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

document.addEventListener("visibilitychange", () => {
  look();
  tell();
});
addEventListener("pagehide", () => {
  const at = performance.now();
  for (const [image, { visible, from }] of open) ended.push({ id: newId(), image, visible, from, to: at });
  open.clear();
  tell(true);
});
setInterval(look, LOOK);
setInterval(tell, TELL, false);
