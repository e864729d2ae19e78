// What of the network's answers is really painted before its user's eyes, and for how long. The server keeps it: it is by
// what was visible, not by what was sent, that an opinion can have been changed.

import { Problem, isPaused, send } from "./request.js";

/** A part of an answer. @typedef {"flag" | "word" | "probability" | "heatmap"} Part */
/** A stretch of time in which the same parts of one model's answer could be seen. @typedef {{ id: string, image: string, model: string, visible: Part[], from: number, to: number }} Stretch */

/** How often it is looked at what is visible where nothing says that it has changed, in ms. */
const LOOK = 500;
/** How often it is told, in ms. */
const TELL = 5_000;
/** Stretches in one request. */
const TOGETHER = 100;
/** Stretches that wait while the server cannot be reached; beyond that the oldest go. */
const WAITING = 2_000;
/** How long a stretch lasts at most before the next begins, in ms: what a page that stays open shows is told in time. */
const LONG = 120_000;
/** What began earlier is not taken any more, in ms: a day, less a minute for the way. */
const OLD = 86_400_000 - 60_000;
/** How much of an element must be in the window. */
const ENOUGH = 0.5;

/** What each watched element shows, of which model's answer, and whether it is in the window; null until the browser has said so. @type {Map<Element, { image: string, model: string, part: Part, inside: boolean | null }>} */
const watched = new Map();
/** What is visible now, by image. @type {Map<string, { model: string, visible: Part[], from: number }>} */
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

/**
 * An element shows a part of the answer about an image from its next painting on.
 * @param {Element} element @param {string} image @param {string} model SHA-256 of the weights that answered @param {Part} part
 */
export function watch(element, image, model, part) {
  const known = watched.get(element);
  if (known?.image === image && known.model === model && known.part === part) return;
  unwatch(element);
  watched.set(element, { image, model, part, inside: null });
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
  /** @type {Map<string, { model: string, parts: Set<Part> }>} */
  const now = new Map();
  /** Images whose view was just drawn anew. @type {Set<string>} */
  const drawn = new Set();
  const isSeen = document.visibilityState === "visible";
  for (const [element, { image, model, part, inside }] of watched) {
    if (!element.isConnected) {
      watched.delete(element);
      observer.unobserve(element);
    } else if (isSeen && inside === null) {
      drawn.add(image);
    } else if (isSeen && inside && element.checkVisibility({ visibilityProperty: true })) {
      const seen = now.get(image);
      // A row and a view of the same image may differ for a moment: what was drawn last counts.
      if (seen?.model === model) seen.parts.add(part);
      else now.set(image, { model, parts: new Set([part]) });
    }
  }
  const at = performance.now();
  for (const [image, { model, visible, from }] of open) {
    if (drawn.has(image)) continue;
    const seen = now.get(image);
    const isSame = seen?.model === model && visible.length === seen.parts.size && visible.every((part) => seen.parts.has(part));
    if (isSame && at - from < LONG) continue;
    open.delete(image);
    ended.push({ id: newId(), image, model, visible, from, to: at });
  }
  for (const [image, { model, parts }] of now) {
    if (!open.has(image)) open.set(image, { model, visible: [...parts], from: at });
  }
  if (ended.length > WAITING) ended.splice(0, ended.length - WAITING);
}

/** Tells the server what has ended. What it could not take is told again; what it refuses is not. @param {boolean} [leaving] */
async function tell(leaving = false) {
  const at = performance.now();
  ended = ended.filter(({ from }) => at - from < OLD);
  if (ended.length === 0 || isPaused() || (telling && !leaving)) return;
  telling = true;
  const batch = ended.slice(0, TOGETHER);
  const items = batch.map(({ id, image, model, visible, from, to }) =>
    ({ id, image, model_sha256: model, visible, ago_ms: Math.ceil(at - from), ms: Math.floor(to - from) }));
  const forget = () => { ended = ended.filter((stretch) => !batch.includes(stretch)); };
  try {
    await send("POST", "/v1/exposure", { body: { items }, byItself: true, keepalive: leaving });
    forget();
  } catch (error) {
    // The next one tries again, with the same ids. What is wrong stays wrong.
    if (error instanceof Problem && error.status === 400) forget();
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
  for (const [image, { model, visible, from }] of open) ended.push({ id: newId(), image, model, visible, from, to: at });
  open.clear();
  tell(true);
});
setInterval(look, LOOK);
setInterval(tell, TELL, false);
