// Keys of the page, and a switch for whoever speaks to their computer or types beside it (WCAG 2.2, 2.1.4).

import { isCovered } from "./covered.js";
import { byId } from "./elements.js";
import { FIXED, KEYS, originalOf } from "./keymap.js";

/** Where it is kept that this browser's keys are off. */
const OFF = "lobar.keys";

/** A browser that keeps nothing has them on. */
function areOff() {
  try { return localStorage.getItem(OFF) === "off"; } catch { return false; }
}

/** Turns the keys of this browser off, or on again. @param {boolean} off */
export function turnKeys(off) {
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
 * @property {(key: string) => boolean} other whether another part of the page took the key, as it was at first
 */

/** @param {() => Hands} hands of the view that is open */
export function listen(hands) {
  addEventListener("keydown", (event) => {
    const { target, key } = event;
    const { isOpen, stage, act, preset, arrow, enter, other } = hands();
    // What lies under a dialog is not in front of anybody.
    if (isCovered()) return;
    if (event.ctrlKey || event.metaKey || event.altKey || !(target instanceof Element)) return;
    if (target.matches("input:not([type=range]), textarea, select")) return;
    const original = originalOf(key);
    const action = KEYS.find(([name]) => name === original)?.[2] || null;
    // Keys are shown over the list, too.
    if (!isOpen() && (action !== "help" || byId("worklist").hidden)) return;
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
    if (original === null || (isOff && original !== FIXED)) return;
    if (action === "preset") {
      event.preventDefault();
      preset(Number(original) - 1);
      return;
    }
    if (!action && !event.repeat && other(original.toLowerCase())) return;
    // Space presses the button that has the focus.
    if (!action || (key === " " && target.matches("button, a"))) return;
    event.preventDefault();
    act(action, event);
  });
}
