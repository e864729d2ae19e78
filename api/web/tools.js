// The buttons under the picture. Each is there from the beginning and has its place: nothing moves when more is known.

import { el } from "./elements.js";
import { keyElement } from "./keymap.js";
import { windowName } from "./tone.js";

/** @import { Tone } from "./tone.js" */

/** Windows that have a key. */
const PRESETS = 5;

/** @param {string} name @param {Node[]} parts */
const group = (name, ...parts) => el("div", { class: "tool-group", role: "group", "aria-label": name }, ...parts);

/** @typedef {{ tone: Tone | null, tool: string, inverted: boolean, heatOn: boolean, hasHeat: boolean, isBeside: boolean, canBeside: boolean, loupeOn: boolean, isFull: boolean, canCopy: boolean }} State */

export class Tools {
  /** @param {(action: string) => void} act @param {(place: number) => void} preset @param {() => void} faded */
  constructor(act, preset, faded) {
    const button = (/** @type {string} */ words, /** @type {string} */ key, /** @type {string} */ action, /** @type {string} */ title = words) =>
      el("button", { type: "button", title, "data-action": action, onclick: () => act(action) }, words, " ", keyElement(key));
    const pressed = (/** @type {string} */ words, /** @type {string} */ key, /** @type {string} */ action, /** @type {string} */ title = words) => {
      const made = button(words, key, action, title);
      made.ariaPressed = "false";
      return made;
    };
    this.window = pressed("Window", "W", "window", "Window by dragging");
    this.measure = pressed("Measure", "L", "measure", "Measure lengths");
    this.loupe = pressed("Magnify", "M", "loupe", "Magnifier at the pointer");
    this.presets = Array.from({ length: PRESETS }, (_, place) =>
      el("button", { type: "button", class: "preset", disabled: true, onclick: () => preset(place) }, keyElement(String(place + 1))));
    this.invert = pressed("Invert", "I", "invert");
    this.heat = pressed("Heatmap", "H", "heat");
    this.opacity = el("input", { type: "range", min: "0.1", max: "1", step: "0.1", oninput: faded });
    this.side = pressed("Side by side", "S", "side", "Side by side with the heatmap, or with a prior");
    this.full = pressed("Full", "T", "full", "The whole window for the image");
    this.copy = button("Copy", "C", "copy", "Copy the picture with its identity burnt in");
    this.save = button("Save", "E", "save", "Save the picture with its identity burnt in");
    this.element = el("div", { class: "tools" },
      group("Pointer", this.window, this.measure, this.loupe),
      group("Windows", ...this.presets, this.invert),
      group("Size", button("−", "-", "smaller", "Smaller"), button("Fit", "=", "fit"), button("1:1", "0", "exact", "One pixel on one"), button("+", "+", "larger", "Larger")),
      group("Direction", button("Turn", "R", "turn", "Turn right; with Shift left"), button("Flip", "F", "flip", "Mirror left and right"), button("Flop", "V", "flop", "Mirror top and bottom")),
      group("Heatmap", this.heat, el("label", {}, "Opacity ", keyElement("["), this.opacity, keyElement("]")), this.side),
      group("Picture", this.full, button("Reset", "Space", "reset"), this.copy, this.save, button("Keys", "?", "help", "What the keys do")));
  }

  /** @param {State} state */
  draw({ tone, tool, inverted, heatOn, hasHeat, isBeside, canBeside, loupeOn, isFull, canCopy }) {
    this.window.ariaPressed = String(tool === "window");
    this.measure.ariaPressed = String(tool === "measure");
    this.loupe.ariaPressed = String(loupeOn);
    this.invert.ariaPressed = String(inverted);
    this.heat.ariaPressed = String(heatOn);
    this.heat.disabled = !hasHeat;
    this.opacity.disabled = !heatOn && !isBeside;
    this.side.ariaPressed = String(isBeside);
    this.side.disabled = !canBeside;
    this.full.ariaPressed = String(isFull);
    this.copy.disabled = !canCopy || !navigator.clipboard;
    this.save.disabled = !canCopy;
    this.presets.forEach((button, place) => {
      const window = tone?.film.about.windows[place];
      button.disabled = !window;
      button.title = window ? windowName(window) : "";
      button.ariaLabel = window ? `Window ${place + 1}: ${windowName(window)}` : `Window ${place + 1}`;
      button.ariaPressed = String(Boolean(window) && tone?.preset === place);
    });
  }
}
