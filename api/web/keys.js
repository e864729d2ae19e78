// Keys of the viewer: what each does, a page that shows them, and a switch for whoever speaks to their computer or types
// beside it (WCAG 2.2, 2.1.4).

import { el } from "./elements.js";
import { showDialog } from "./forms.js";

/** A key as people read it, what it does in words, and what that is called here; empty where another part of the page does it. @type {[string, string, string][]} */
export const KEYS = [
  ["J", "Next image", "next"],
  ["K", "Previous image", "previous"],
  ["U", "Next image that waits for a reader", ""],
  ["Z", "Take back the verdict that was just given", ""],
  ["Esc", "Back to the list", "back"],
  ["W", "Window with the first mouse button, or with the arrow keys; the second button always does", "window"],
  ["1 to 5", "Windows: the file's own first", "preset"],
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
  ["Space", "Reset: everything as it was at first", "reset"],
  ["C", "Copy the picture", "copy"],
  ["E", "Save the picture", "save"],
  ["?", "These keys", "help"],
];

/** Where it is kept that this browser's keys are off. */
const OFF = "lobar.keys";

/** @type {Record<string, string>} */
const NAMES = { escape: "Esc", " ": "Space", delete: "Delete", backspace: "Delete" };

/** What a key does; arrows and digits apart. @param {string} key */
function actionOf(key) {
  const shown = NAMES[key.toLowerCase()] ?? key.toUpperCase();
  return KEYS.find(([name]) => name === shown)?.[2] || null;
}

/** A browser that keeps nothing has them on. */
function areOff() {
  try { return localStorage.getItem(OFF) === "off"; } catch { return false; }
}

/** @param {boolean} off */
function turn(off) {
  try {
    if (off) localStorage.setItem(OFF, "off");
    else localStorage.removeItem(OFF);
  } catch { /* For this page only. */ }
  isOff = off;
}

let isOff = areOff();

/** Whether keys do nothing in this browser. */
export const keysAreOff = () => isOff;

/** Arrows, as steps to the right and down. @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @typedef {object} Hands
 * @property {() => boolean} isOpen whether there is something that keys are for
 * @property {Element} stage what arrows and Enter are for while it has the focus
 * @property {(action: string, event: KeyboardEvent) => void} act does what a key is for
 * @property {(place: number) => void} preset chooses a window
 * @property {(right: number, down: number, event: KeyboardEvent) => void} arrow goes a step
 * @property {() => boolean} enter whether it was for anything
 * @property {(key: string) => boolean} other whether another part of the page took the key
 */

/** @param {() => Hands} hands of the view that is open */
export function listen(hands) {
  addEventListener("keydown", (event) => {
    const { target, key } = event;
    const { isOpen, stage, act, preset, arrow, enter, other } = hands();
    // What lies under a dialog is not in front of anybody.
    if (document.querySelector("dialog[open]")) return;
    if (!isOpen() || event.ctrlKey || event.metaKey || event.altKey || !(target instanceof Element)) return;
    if (target.matches("input:not([type=range]), textarea, select")) return;
    const step = ARROWS[key];
    if (step) {
      if (target !== stage) return;
      event.preventDefault();
      arrow(step[0], step[1], event);
      return;
    }
    if (key === "Enter") {
      if (target === stage && enter()) event.preventDefault();
      return;
    }
    if (isOff && key !== "Escape") return;
    if (/^[1-5]$/.test(key)) {
      event.preventDefault();
      preset(Number(key) - 1);
      return;
    }
    const action = actionOf(key);
    if (!action && !event.repeat && other(key.toLowerCase())) return;
    // Space presses the button that has the focus.
    if (!action || (key === " " && target.matches("button, a"))) return;
    event.preventDefault();
    act(action, event);
  });
}

/** Shows every key, and the switch. */
export function showKeys() {
  const turned = el("input", { type: "checkbox", checked: !isOff, onchange: () => turn(!turned.checked) });
  showDialog("Keys",
    el("p", {}, el("label", { class: "keys-switch" }, turned, " Keys without Ctrl are on in this browser. Esc always goes back.")),
    el("dl", { class: "keys" }, ...KEYS.flatMap(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)])),
    el("p", {}, "With the picture in focus, the arrow keys pan, window or measure. A, D, P, O and N stand on the buttons of a verdict."),
    el("p", {}, "Mouse: drag to pan, with the second button to window; the wheel zooms to the pointer; a double click fits. Two fingers pinch."));
}
