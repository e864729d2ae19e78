// A magnifier: a part of the film, larger, where the pointer is.

import { el } from "./elements.js";
import { dense } from "./geometry.js";
import { paint } from "./painter.js";

/** @import { Point } from "./geometry.js" */
/** @import { Pane } from "./stage.js" */

/** Its side in pixels of the page, and how many times larger it shows than what is around it. */
const SIDE = 240;
const TIMES = 2.5;

export class Loupe {
  constructor() {
    this.element = el("canvas", { class: "loupe", "aria-hidden": "true", hidden: true });
    this.isOn = false;
    /** Where in the pane. @type {Point | null} */
    this.at = null;
  }

  toggle() {
    this.isOn = !this.isOn;
  }

  /** @param {Pane} pane */
  draw(pane) {
    const { film, tone, matrix, box } = pane;
    const at = this.at ?? { x: box.width / 2, y: box.height / 2 };
    this.element.hidden = !this.isOn || !film;
    if (!this.isOn || !film || !tone || !matrix) return;
    const density = devicePixelRatio;
    const side = Math.round(SIDE * density);
    if (this.element.width !== side) this.element.width = this.element.height = side;
    const { a, b, c, d, e, f, scale } = matrix;
    // What lies under the pointer lies in its middle.
    const moved = {
      a: a * TIMES, b: b * TIMES, c: c * TIMES, d: d * TIMES, scale: scale * TIMES,
      e: SIDE / 2 + TIMES * (e - at.x), f: SIDE / 2 + TIMES * (f - at.y),
    };
    const context = this.element.getContext("2d");
    if (context) paint(context, film, tone.lookup(), dense(moved, density));
    Object.assign(this.element.style, { left: `${at.x - SIDE / 2}px`, top: `${at.y - SIDE / 2}px` });
  }
}
