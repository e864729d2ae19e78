// Which way the patient lies: the letters of the standard at the edges of a pane, as the image is turned now.

import { el } from "./elements.js";

/** @import { Matrix } from "./geometry.js" */

/** @type {Record<string, string>} */
const OPPOSITE = { R: "L", L: "R", A: "P", P: "A", H: "F", F: "H" };
const EDGES = /** @type {const} */ (["right", "bottom", "left", "top"]);

/** The letters of the other way. @param {string} letters */
const opposite = (letters) => [...letters].map((letter) => OPPOSITE[letter] ?? "").join("");

/** A direction on the screen, in quarter turns. @param {number} x @param {number} y */
const turn = (x, y) => (Math.abs(x) > Math.abs(y) ? (x > 0 ? 0 : 2) : y > 0 ? 1 : 3);

export class Marks {
  constructor() {
    this.letters = EDGES.map((edge) => el("span", { class: `mark mark-${edge}` }));
    this.element = el("div", { class: "marks", "aria-hidden": "true" }, ...this.letters);
  }

  /** @param {Matrix} matrix @param {string[] | null} orientation whither rows and columns of the image run */
  draw({ a, b, c, d }, orientation) {
    const [rows, columns] = orientation ?? ["", ""];
    // Whither the image's right and lower edges point on the screen.
    const [right, down] = [turn(a, b), turn(c, d)];
    const at = ["", "", "", ""];
    at[right] = rows;
    at[(right + 2) % 4] = opposite(rows);
    at[down] = columns;
    at[(down + 2) % 4] = opposite(columns);
    this.letters.forEach((letter, place) => { letter.textContent = at[place]; });
  }
}
