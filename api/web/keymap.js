// Which key does what in this browser. A key is known by what it was at first, its original; whoever wants another one
// gives it that, and it stays in this browser (docs/viewer.md).

import { el } from "./elements.js";

/** Its original, what it does in words, and what that is called here; empty where another part of the page does it. @type {[string, string, string][]} */
export const KEYS = [
  ["J", "Next image", "next"],
  ["K", "Previous image", "previous"],
  ["U", "Next image that waits for a reader", ""],
  ["Z", "Take back the verdict that was just given", ""],
  ["Esc", "Back to the list", "back"],
  ["A", "Verdict: agree", ""],
  ["D", "Verdict: disagree", ""],
  ["P", "Verdict: pneumonia", ""],
  ["O", "Verdict: no pneumonia", ""],
  ["N", "Verdict: not assessable", ""],
  ["W", "Window with the first mouse button, or with the arrow keys; the second button always does", "window"],
  ["1", "First window: the file's own", "preset"],
  ["2", "Second window", "preset"],
  ["3", "Third window", "preset"],
  ["4", "Fourth window", "preset"],
  ["5", "Fifth window", "preset"],
  ["I", "Invert", "invert"],
  ["+", "Larger", "larger"],
  ["-", "Smaller", "smaller"],
  ["=", "Fit", "fit"],
  ["0", "One pixel on one", "exact"],
  ["R", "Turn right; with Shift left", "turn"],
  ["F", "Mirror left and right", "flip"],
  ["V", "Mirror top and bottom", "flop"],
  ["M", "Magnifier", "loupe"],
  ["L", "Measure lengths; the arrow keys move a cross, Enter sets its ends", "measure"],
  ["Delete", "Take the last length away", "unmeasure"],
  ["H", "Heatmap", "heat"],
  ["[", "Heatmap less opaque", "fainter"],
  ["]", "Heatmap more opaque", "denser"],
  ["S", "Side by side with the heatmap, or with a prior", "side"],
  ["T", "The whole window for the image, and back", "full"],
  ["Space", "Reset: everything as it was at first", "reset"],
  ["C", "Copy the picture", "copy"],
  ["E", "Save the picture", "save"],
  ["?", "These keys", "help"],
];

/** The way back is where it is in every dialog. */
export const FIXED = "Esc";

/** Where the keys are kept that were changed: the new one by its original. */
const KEPT = "lobar.keymap";

/** Keys that are no signs, as they are read. @type {Record<string, string>} */
const NAMES = { Escape: "Esc", " ": "Space", Delete: "Delete", Backspace: "Delete" };

/** A key of an event as it is read. @param {string} key */
export const nameOf = (key) => NAMES[key] ?? key.toUpperCase();

/** Whether a key may be given to something: a sign, Space or Delete. Others move the focus, or belong to the browser. @param {string} name */
export const mayBeGiven = (name) => [...name].length === 1 || name === "Space" || name === "Delete";

/** What is for each original now, where that is another one. @type {Map<string, string>} */
let given = read();

/** What this browser keeps; nothing of it where it cannot be right. */
function read() {
  const found = new Map();
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    for (const [original] of KEYS) {
      const name = original === FIXED ? null : kept?.[original];
      if (typeof name === "string" && mayBeGiven(name)) found.set(original, name);
    }
  } catch { /* The keys are as they were at first. */ }
  const all = KEYS.map(([original]) => found.get(original) ?? original);
  return new Set(all).size === all.length ? found : new Map();
}

function keep() {
  try {
    if (given.size === 0) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(given)));
  } catch { /* For this page only. */ }
  for (const shown of document.querySelectorAll("kbd[data-original]")) {
    if (shown instanceof HTMLElement) shown.textContent = keyFor(shown.dataset.original ?? "");
  }
}

/** The key that does what this one did at first. @param {string} original */
export const keyFor = (original) => given.get(original) ?? original;

/** What a pressed key was at first; null where it does nothing any more. @param {string} key of an event */
export function originalOf(key) {
  const name = nameOf(key);
  const known = KEYS.find(([original]) => keyFor(original) === name)?.[0];
  return known ?? (KEYS.some(([original]) => original === name) ? null : name);
}

/**
 * Gives a key to what another one did at first.
 * @param {string} original @param {string} name
 * @returns {string | null} what the key is for already, in words; nothing is changed then
 */
export function give(original, name) {
  const other = KEYS.find(([one]) => one !== original && keyFor(one) === name);
  if (other) return other[1];
  if (name === original) given.delete(original);
  else given.set(original, name);
  keep();
  return null;
}

/** Every key is as it was at first. */
export function giveBack() {
  given = new Map();
  keep();
}

/** A key beside what it presses, which goes with every change. @param {string} original */
export const keyElement = (original) => el("kbd", { "data-original": original }, keyFor(original));
