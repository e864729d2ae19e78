// Mouse, pen and fingers on a pane: what is dragged, turned and pinched, as words for whoever moves the image.

/** @import { Point } from "./geometry.js" */

/**
 * @typedef {object} Moves
 * @property {() => "pan" | "window" | "measure"} tool what the first button does
 * @property {(x: number, y: number) => void} pan by pixels of the pane
 * @property {(x: number, y: number) => void} tone by shares of the pane, to the right and down
 * @property {(factor: number, at: Point) => void} zoom about a point
 * @property {(at: Point) => void} fit between all of it and one pixel on one
 * @property {(step: "begin" | "move" | "end", at: Point) => void} measure draws a line
 * @property {(at: Point | null) => void} hover where the pointer rests; null where it leaves
 */

/** What a notch of a wheel comes to. */
const WHEEL = 0.0016;
const LINE = 16;

/** @param {HTMLElement} element @param {Moves} moves */
export function gestures(element, moves) {
  /** Where each pointer that is down was last. @type {Map<number, Point>} */
  const down = new Map();
  /** @type {"pan" | "window" | "measure" | null} */
  let doing = null;
  const place = (/** @type {MouseEvent} */ event) => {
    const { left, top } = element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  element.addEventListener("pointerdown", (event) => {
    const at = place(event);
    down.set(event.pointerId, at);
    element.setPointerCapture(event.pointerId);
    if (down.size > 1) {
      if (doing === "measure") moves.measure("end", at);
      doing = null;
      return;
    }
    doing = event.button === 2 ? "window" : event.button === 1 ? "pan" : moves.tool();
    if (event.button === 1) event.preventDefault();
    if (doing === "measure") moves.measure("begin", at);
  });
  element.addEventListener("pointermove", (event) => {
    const at = place(event);
    const before = down.get(event.pointerId);
    if (event.pointerType !== "touch") moves.hover(at);
    if (!before) return;
    down.set(event.pointerId, at);
    if (down.size === 2) return pinch(event.pointerId, before, at);
    if (doing === "pan") moves.pan(at.x - before.x, at.y - before.y);
    else if (doing === "window") moves.tone((at.x - before.x) / element.clientWidth, (at.y - before.y) / element.clientHeight);
    else if (doing === "measure") moves.measure("move", at);
  });
  /** Two fingers: one moved. @param {number} id @param {Point} before @param {Point} at */
  function pinch(id, before, at) {
    const other = [...down].find(([one]) => one !== id)?.[1];
    if (!other) return;
    const apart = (/** @type {Point} */ one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
    moves.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
    moves.zoom(apart(at) / apart(before), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
  }
  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    element.addEventListener(name, (event) => {
      if (!down.delete(event.pointerId)) return;
      if (doing === "measure") moves.measure("end", place(event));
      doing = null;
    });
  }
  element.addEventListener("pointerleave", () => moves.hover(null));
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("dragstart", (event) => event.preventDefault());
  element.addEventListener("dblclick", (event) => { if (moves.tool() !== "measure") moves.fit(place(event)); });
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1;
    // A pinch on a touch pad comes as a wheel with Ctrl, in small steps.
    moves.zoom(Math.exp(-event.deltaY * lines * WHEEL * (event.ctrlKey ? 6 : 1)), place(event));
  }, { passive: false });
}
