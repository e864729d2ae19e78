// Distances on an image: in millimetres where the file says how far its pixels are apart, and where that holds.

import { el } from "./elements.js";
import { back, forth } from "./geometry.js";

/** @import { SpacingBody } from "./film.js" */
/** @import { Matrix, Point } from "./geometry.js" */

/** From one point of the image to another. @typedef {{ from: Point, to: Point }} Line */

const SPACE = "http://www.w3.org/2000/svg";
/** Lines that are kept on one image. */
const MOST = 20;
/** Pixels of the pane that a key moves the cross. */
const STEP = 8;
/** What a distance means, by where its pixels were measured. @type {Record<string, string>} */
const PLANES = { detector: " mm at the detector", patient: " mm", film: " mm on the film", unknown: " mm, where is not said" };

/** @param {Line} line @param {SpacingBody | null} spacing */
export function lengthWords({ from, to }, spacing) {
  const [x, y] = [to.x - from.x, to.y - from.y];
  if (!spacing) return `${Math.hypot(x, y).toFixed(0)} pixels`;
  const length = Math.hypot(x * spacing.columns, y * spacing.rows);
  const words = `${length.toFixed(1)}${PLANES[spacing.plane] ?? PLANES.unknown}`;
  const { plane, magnification } = spacing;
  if (plane !== "detector" || !magnification || magnification === 1) return words;
  return `${words}, about ${(length / magnification).toFixed(1)} mm in the patient`;
}

export class Measure {
  constructor() {
    this.element = document.createElementNS(SPACE, "svg");
    this.element.setAttribute("class", "lines");
    this.element.setAttribute("aria-hidden", "true");
    /** Says each distance to whoever does not see it. */
    this.said = el("p", { class: "unseen", role: "status" });
    /** @type {Line[]} */
    this.lines = [];
    /** The one that is being drawn. @type {Line | null} */
    this.open = null;
    /** Where keys have moved the cross. @type {Point | null} */
    this.cross = null;
  }

  clear() {
    this.lines = [];
    this.open = null;
    this.cross = null;
    this.said.textContent = "";
  }

  /** Takes the last line away. */
  removeLast() {
    if (this.open) this.open = null;
    else this.lines.pop();
  }

  /** @param {Point} at a point of the image */
  begin(at) {
    this.open = { from: at, to: at };
  }

  /** @param {Point} at */
  stretch(at) {
    if (this.open) this.open.to = at;
  }

  /** Ends the line; one without a length is none. @param {SpacingBody | null} spacing */
  finish(spacing) {
    const line = this.open;
    this.open = null;
    if (!line || Math.hypot(line.to.x - line.from.x, line.to.y - line.from.y) < 1) return;
    this.lines.push(line);
    if (this.lines.length > MOST) this.lines.shift();
    this.said.textContent = lengthWords(line, spacing);
  }

  /** Moves the cross by keys: to the right and down, in steps. @param {number} right @param {number} down @param {Matrix} matrix @param {Point} middle of the pane */
  step(right, down, matrix, middle) {
    const now = this.cross ? forth(matrix, this.cross) : middle;
    this.cross = back(matrix, { x: now.x + right * STEP, y: now.y + down * STEP });
    this.stretch(this.cross);
  }

  /** Begins a line at the cross, or ends it there. @param {SpacingBody | null} spacing */
  place(spacing) {
    if (!this.cross) return;
    if (this.open) this.finish(spacing);
    else this.begin(this.cross);
  }

  /** @param {Matrix} matrix @param {SpacingBody | null} spacing */
  draw(matrix, spacing) {
    const parts = [];
    for (const line of [...this.lines, ...(this.open ? [this.open] : [])]) {
      const [from, to] = [forth(matrix, line.from), forth(matrix, line.to)];
      parts.push(shape("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y }));
      for (const end of [from, to]) parts.push(shape("circle", { cx: end.x, cy: end.y, r: 3 }));
      const words = shape("text", { x: Math.max(from.x, to.x) + 8, y: (from.x > to.x ? from.y : to.y) + 4 });
      words.textContent = lengthWords(line, spacing);
      parts.push(words);
    }
    if (this.cross) {
      const { x, y } = forth(matrix, this.cross);
      parts.push(shape("path", { d: `M${x - 10} ${y}h20M${x} ${y - 10}v20` }));
    }
    this.element.replaceChildren(...parts);
  }
}

/** @param {string} name @param {Record<string, number | string>} attributes */
function shape(name, attributes) {
  const element = document.createElementNS(SPACE, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value));
  return element;
}
