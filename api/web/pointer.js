// Where the pointer rests, and whether what lies under it has just moved: a click that was aimed at what stood there
// before does nothing. Lists keep still while somebody is in them; this is the second line, whatever moved.

/** How long something must have stood still under a resting pointer before a click on it counts, in ms. */
const SETTLED = 300;
/** How far a hand moves a mouse by pressing its button, in pixels. */
const STILL = 4;
/** A pointer that moved so lately is on its way to what its user sees now, in ms. */
const ON_ITS_WAY = 500;

/** What a click would hit. Rows go before what is in them. */
const TARGETS = ["tr[data-id]", "a, button"];

class Pointer {
  constructor() {
    this.x = NaN;
    this.y = NaN;
    this.anchor = { x: NaN, y: NaN };
    /** What a click at the anchor would hit, and where that stands. */
    this.under = "";
    this.movedAt = -Infinity;
    this.shiftedAt = -Infinity;
    this.rearrangedAt = -Infinity;
    this.pressedUnsettled = false;
    const passive = { capture: true, passive: true };
    addEventListener("pointermove", (event) => this.moved(event), passive);
    addEventListener("pointerdown", (event) => this.pressed(event), passive);
    document.documentElement.addEventListener("pointerleave", () => this.gone());
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, (event) => { if (event instanceof PointerEvent && event.pointerType === "touch") this.gone(); }, passive);
    }
    for (const name of ["scroll", "resize", "load"]) addEventListener(name, () => this.watch(), passive);
    new MutationObserver(() => this.watch()).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
    addEventListener("click", (event) => this.judge(event), { capture: true });
    addEventListener("dblclick", (event) => this.judge(event), { capture: true });
  }

  /** Whether it is within an element, or on its border. @param {Element} element */
  isIn(element) {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    return this.x >= left && this.x <= right && this.y >= top && this.y <= bottom;
  }

  /** Whether it is being moved: somebody has seen where things are, and goes there. */
  isOnItsWay() {
    return performance.now() - this.movedAt < ON_ITS_WAY;
  }

  /** Told by what rearranges itself. A finger rests nowhere, so it is protected from any rearrangement. */
  rearranged() {
    this.rearrangedAt = performance.now();
    this.watch();
  }

  /** @param {PointerEvent} event */
  moved({ clientX, clientY, pointerType }) {
    if (pointerType === "touch") return;
    this.x = clientX;
    this.y = clientY;
    if (Math.hypot(clientX - this.anchor.x, clientY - this.anchor.y) <= STILL) return this.watch();
    this.movedAt = performance.now();
    this.anchor = { x: clientX, y: clientY };
    this.under = this.look();
    this.shiftedAt = -Infinity;
  }

  gone() {
    this.x = NaN;
    this.y = NaN;
    this.anchor = { x: NaN, y: NaN };
    this.under = "";
    this.shiftedAt = -Infinity;
  }

  /** @param {PointerEvent} event */
  pressed(event) {
    if (event.pointerType === "touch") {
      this.pressedUnsettled = performance.now() - this.rearrangedAt < SETTLED;
      return;
    }
    this.moved(event);
    this.watch();
    this.pressedUnsettled = this.isUnsettled();
  }

  /** Looks whether something else is under the resting pointer than before. */
  watch() {
    if (Number.isNaN(this.anchor.x)) return;
    const now = this.look();
    if (now === this.under) return;
    this.under = now;
    this.shiftedAt = performance.now();
  }

  isUnsettled() {
    return performance.now() - this.shiftedAt < SETTLED;
  }

  /** What a click would hit, with its place. What has an id stays the same thing whatever it says: "2 new" as "1 new". */
  look() {
    const hit = document.elementFromPoint(this.anchor.x, this.anchor.y);
    const target = hit && TARGETS.map((kind) => hit.closest(kind)).find((found) => found);
    if (!(target instanceof HTMLElement)) return "";
    const { left, top } = target.getBoundingClientRect();
    const name = target.dataset.id ?? (target.id || `${target.dataset.means ?? ""} ${target.textContent}`);
    return `${name} at ${Math.round(left)},${Math.round(top)}`;
  }

  /** Stops a click on what has just come under the pointer. Keys press what has the focus, wherever it stands. @param {MouseEvent} event */
  judge(event) {
    if (event.detail === 0) return;
    this.watch();
    if (!this.pressedUnsettled && !this.isUnsettled()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}

/** The one pointer of the page. */
export const pointer = new Pointer();
