// The rows of a list of any length. Only those near the window have elements; empty ones of the right height stand for the
// others, so that every row has its place, and what reads the table out is told of all of them.

import { open } from "./address.js";
import { fitting } from "./arrangement.js";
import { byId, el } from "./elements.js";
import { unwatch } from "./exposure.js";

/** @import { Column } from "./columns.js" */
/** @import { ImageItem } from "./types.js" */

/** Rows that have elements on either side of the window. */
const ROUND = 40;
/** How near the last row must be for more to be wanted. */
const NEAR = 10;
/** Taken while no row could be measured, in pixels. */
const NOMINAL = 49;

/** The columns that rows are built of, as wide as each is. @type {{ column: Column, width: string }[]} */
let columns = [];

/** A row that changes in place, and has elements only as long as it is near the window. */
export class Row {
  /** @param {ImageItem} image */
  constructor(image) {
    this.image = image;
    /** @type {{ row: HTMLTableRowElement, boxes: HTMLElement[] } | null} */
    this.parts = null;
  }

  /** Its element, made where there is none. */
  get element() {
    this.parts ??= this.build();
    return this.parts.row;
  }

  build() {
    // A cell of a table grows with what is in it, whatever its style says: the boxes in the cells have the height.
    const boxes = columns.map(({ column: { name, short } }) => el("div", { class: `cell ${short ? "short " : ""}${name}` }));
    const row = el("tr", { "data-id": this.image.id }, ...boxes.map((box, at) => el("td", { class: `c-${columns[at]?.column.name}` }, box)));
    this.parts = { row, boxes };
    this.fill();
    return this.parts;
  }

  fill() {
    if (!this.parts) return;
    const { row, boxes } = this.parts;
    row.dataset.status = this.image.status;
    columns.forEach(({ column }, at) => column.draw(/** @type {HTMLElement} */ (boxes[at]), this.image));
  }

  /** @param {ImageItem} image */
  draw(image) {
    const isOther = this.image.status !== image.status;
    this.image = image;
    if (!this.parts) return;
    this.fill();
    if (!isOther) return;
    const { row } = this.parts;
    row.classList.remove("changed");
    requestAnimationFrame(() => row.classList.add("changed"));
  }

  /** Gives its elements back. */
  release() {
    this.parts?.boxes.forEach((box) => unwatch(box));
    this.parts = null;
  }

  /** Moves the waiting times on. A claim may have lapsed, of which no event tells. */
  tick() {
    columns.forEach(({ column: { name, draw } }, at) => {
      const box = this.parts?.boxes[at];
      if (box && (name === "read" || (name === "waiting" && !this.image.finished_at))) draw(box, this.image);
    });
  }
}

export class Table {
  /** @param {() => void} nearEnd is called when the last of the rows comes near the window */
  constructor(nearEnd) {
    this.nearEnd = nearEnd;
    this.body = byId("rows");
    /** @type {Row[]} */
    this.rows = [];
    /** Rows that have elements. @type {Set<Row>} */
    this.drawn = new Set();
    /** Of a row, in pixels; 0 while it is not known. */
    this.height = 0;
    this.isWaiting = false;
    /** For which the columns are laid out, in pixels. */
    this.width = 0;
    this.layOut();
    const later = () => this.drawSoon();
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", () => this.resized());
    this.body.addEventListener("click", (event) => follow(event));
    setInterval(() => this.drawn.forEach((row) => row.tick()), 1000);
  }

  /** Gives each chosen column its width, and leaves those out for which there is no room. Rows that have others are built anew. */
  layOut() {
    this.width = byId("table").clientWidth;
    // A list that is not on the screen will be as wide as the window.
    const wanted = fitting(this.width || innerWidth);
    const isAsWide = wanted.every(({ width }, at) => width === columns[at]?.width);
    const isSame = wanted.length === columns.length && wanted.every(({ column }, at) => column === columns[at]?.column);
    if (isSame && isAsWide) return;
    columns = wanted;
    byId("columns").replaceChildren(...columns.map(({ column: { name, words }, width }) => {
      const head = el("th", { scope: "col", class: `c-${name}` }, words);
      head.style.width = width;
      return head;
    }));
    if (isSame) return;
    const focused = [...this.drawn].find((row) => row.parts?.row.contains(document.activeElement));
    for (const row of this.drawn) row.release();
    this.drawn.clear();
    this.body.replaceChildren();
    this.draw();
    const link = focused?.parts?.row.querySelector(".open");
    if (link instanceof HTMLElement) link.focus({ preventScroll: true });
  }

  /** Rows may have another height now, and columns another width. */
  resized() {
    this.layOut();
    this.height = 0;
    this.drawSoon();
  }

  /** Shows these rows, in this order. @param {Row[]} rows @param {number} total how many there are, loaded or not */
  show(rows, total) {
    const kept = new Set(rows);
    for (const row of this.drawn) if (!kept.has(row)) row.release();
    this.rows = rows;
    byId("images").setAttribute("aria-rowcount", String(Math.max(total, rows.length) + 1));
    this.draw();
  }

  /** With the next picture of the screen: however often that is asked for, once. */
  drawSoon() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.draw();
    });
  }

  /** How high a row is. Rows of all images are equally high. */
  measure() {
    const [row] = this.drawn;
    if (!this.height && row?.parts) this.height = row.parts.row.getBoundingClientRect().height;
    return this.height || NOMINAL;
  }

  /** Which rows are in the window: the first, and the one after the last. */
  inWindow() {
    const height = this.measure();
    // Where the list is not on the screen, its beginning is what will be seen first.
    const top = this.body.checkVisibility() ? this.body.getBoundingClientRect().top : 0;
    const first = Math.max(0, Math.floor(-top / height));
    return { first, end: Math.min(this.rows.length, Math.max(0, Math.ceil((innerHeight - top) / height))) };
  }

  draw() {
    const width = byId("table").clientWidth;
    // One that is not on the screen has none.
    if (width && width !== this.width) this.layOut();
    if (this.rows.length > 0 && this.drawn.size === 0) this.place([0]);
    const { first, end } = this.inWindow();
    const places = new Set();
    for (let at = Math.max(0, Math.min(first, this.rows.length) - ROUND); at < Math.min(this.rows.length, end + ROUND); at += 1) places.add(at);
    // What has the focus keeps it, wherever somebody scrolls meanwhile.
    const focused = this.rows.findIndex((row) => row.parts?.row.contains(document.activeElement));
    if (focused >= 0) places.add(focused);
    this.place([...places].toSorted((a, b) => a - b));
    if (this.rows.length > 0 && end > this.rows.length - NEAR && this.body.checkVisibility()) this.nearEnd();
  }

  /** Puts the rows of these places into the table, and room for the others between them. @param {number[]} places */
  place(places) {
    const height = this.measure();
    /** @type {HTMLElement[]} */
    const wanted = [];
    const drawn = new Set();
    let next = 0;
    const leave = (/** @type {number} */ count) => {
      if (count === 0) return;
      const room = el("td", { colspan: String(columns.length) });
      room.style.height = `${count * height}px`;
      wanted.push(el("tr", { class: "room", "aria-hidden": "true" }, room));
    };
    for (const at of places) {
      const row = this.rows[at];
      if (!row) continue;
      leave(at - next);
      row.element.setAttribute("aria-rowindex", String(at + 2));
      wanted.push(row.element);
      drawn.add(row);
      next = at + 1;
    }
    leave(this.rows.length - next);
    for (const row of this.drawn) if (!drawn.has(row)) row.release();
    this.drawn = drawn;
    arrange(this.body, wanted);
  }

  /** Where an image stands, in pixels from the upper edge of the window; null where it is not in the list. @param {string} id */
  offsetOf(id) {
    const at = this.rows.findIndex(({ image }) => image.id === id);
    const row = this.rows[at];
    if (!row) return null;
    if (this.drawn.has(row)) return row.element.getBoundingClientRect().top;
    return this.body.getBoundingClientRect().top + at * this.measure();
  }

  /** Scrolls an image to a distance from the upper edge of the window. @param {string} id @param {number} offset in pixels */
  scrollTo(id, offset) {
    // Then once more, by where it has been drawn: the heights of the rows before it may be guessed.
    for (let time = 0; time < 2; time += 1) {
      const now = this.offsetOf(id);
      if (now === null) return;
      scrollBy(0, now - offset);
      this.draw();
    }
  }

  /** Brings an image into sight, and gives it the focus. @param {string} id */
  focus(id) {
    const now = this.offsetOf(id);
    if (now === null) return;
    const height = this.measure();
    // Headings may lie over the window's upper edge, and what is said over its lower one.
    const edge = Math.max(0, byId("columns").getBoundingClientRect().bottom);
    if (now < edge || now > innerHeight - height * 3) this.scrollTo(id, innerHeight / 2);
    const link = this.body.querySelector(`tr[data-id="${id}"] .open`);
    if (link instanceof HTMLElement) link.focus({ preventScroll: true });
  }
}

/** Makes a parent hold these children in this order. Those that stay in their order are not moved: they would lose the focus. @param {Element} parent @param {Element[]} wanted */
function arrange(parent, wanted) {
  const kept = new Set(wanted);
  for (const child of Array.from(parent.children)) if (!kept.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const child of wanted) {
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
}

/** A click anywhere in a row opens its image; one that marks text, or asks for another window, does not. @param {MouseEvent} event */
function follow(event) {
  if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || !(event.target instanceof Element)) return;
  const row = event.target.closest("tr[data-id]");
  if (!(row instanceof HTMLElement) || !row.dataset.id) return;
  const marked = getSelection();
  if (marked?.type === "Range" && row.contains(marked.anchorNode)) return;
  event.preventDefault();
  open(row.dataset.id);
}
