// The page that shows what every key does, where each can be changed and all can be switched off.

import { el } from "./elements.js";
import { showDialog } from "./forms.js";
import { FIXED, KEYS, give, giveBack, keyElement, keyFor, mayBeGiven, nameOf } from "./keymap.js";
import { keysAreOff, turnKeys } from "./keys.js";

/** Keys that only go with others. */
const WITH_OTHERS = ["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Dead", "Process"];

/** Shows every key, and the switch. */
export function showKeys() {
  const turned = el("input", { type: "checkbox", checked: !keysAreOff(), onchange: () => turnKeys(!turned.checked) });
  const said = el("p", { class: "keys-said", role: "status" });
  /** What waits for a key: its original, its words, its button. @type {{ original: string, words: string, button: HTMLButtonElement } | null} */
  let waiting = null;
  const stop = () => {
    if (waiting) waiting.button.textContent = "Change";
    waiting = null;
  };
  const start = (/** @type {string} */ original, /** @type {string} */ words, /** @type {HTMLButtonElement} */ button) => {
    stop();
    waiting = { original, words, button };
    button.textContent = "Press a key";
    said.textContent = `Press the key for “${words}”. Esc leaves it as it is.`;
  };
  /** Takes a key that was pressed for what waits. @param {KeyboardEvent} event */
  const take = (event) => {
    if (!waiting || WITH_OTHERS.includes(event.key)) return;
    // The focus moves on, and nothing waits for a key any more.
    if (event.key === "Tab") return stop();
    event.preventDefault();
    event.stopPropagation();
    const { original, words } = waiting;
    const name = nameOf(event.key);
    if (name === FIXED) {
      said.textContent = `“${words}” stays on ${keyFor(original)}.`;
      return stop();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !mayBeGiven(name)) {
      said.textContent = "That key belongs to the browser, or moves the focus. Press a letter, a digit, a sign, Space or Delete.";
      return undefined;
    }
    const other = give(original, name);
    if (other) {
      said.textContent = `${name} is for “${other}” already. Press another key, or change that one first.`;
      return undefined;
    }
    said.textContent = `“${words}” is on ${name} now.`;
    return stop();
  };
  const rows = KEYS.flatMap(([original, words]) => {
    const button = el("button", { type: "button", "aria-label": `Change the key: ${words}`, onclick: () => start(original, words, button) }, "Change");
    const fixed = el("span", { class: "muted" }, "always");
    return [el("dt", {}, keyElement(original)), el("dd", {}, words), el("dd", {}, original === FIXED ? fixed : button)];
  });
  const back = () => {
    stop();
    giveBack();
    said.textContent = "All keys are as they were at first.";
  };
  const dialog = showDialog("Keys",
    el("p", {}, el("label", { class: "keys-switch" }, turned, " Keys without Ctrl are on in this browser. Esc always goes back.")),
    said,
    el("dl", { class: "keys" }, ...rows),
    el("p", { class: "form-buttons" }, el("button", { type: "button", onclick: back }, "All keys as at first")),
    el("p", {}, "With the picture in focus, the arrow keys pan, window or measure. Which verdicts an image takes stands on their buttons."),
    el("p", {}, "Mouse: drag to pan, with the second button to window; the wheel zooms to the pointer; a double click fits. Two fingers pinch."));
  dialog.addEventListener("keydown", take, { capture: true });
  // Some browsers press a button when Space is let go.
  let isTaken = false;
  dialog.addEventListener("keydown", (event) => { isTaken = event.defaultPrevented; }, { capture: true });
  dialog.addEventListener("keyup", (event) => { if (isTaken && event.key === " ") event.preventDefault(); }, { capture: true });
  dialog.addEventListener("focusout", stop);
}
