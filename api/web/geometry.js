// Where an image lies in a pane: one state for all panes that move together.

/** A width and a height. @typedef {{ width: number, height: number }} Size */
/** A point. @typedef {{ x: number, y: number }} Point */
/** From pixels of an image to pixels of a pane: `x' = a x + c y + e`, `y' = b x + d y + f`. @typedef {{ a: number, b: number, c: number, d: number, e: number, f: number, scale: number }} Matrix */

/** Panes may show so much larger than what fits, and smaller. */
const LARGEST = 64;
const SMALLEST = 0.25;

/** The linear part of quarter turns to the right. */
const TURNS = [[1, 0, 0, 1], [0, 1, -1, 0], [-1, 0, 0, -1], [0, -1, 1, 0]];

/** @param {number} share */
const within = (share) => Math.min(1, Math.max(0, share));

/** How an image is turned, mirrored and enlarged. The centre is a share of its sides, so that it means the same of another one. */
export class Geometry {
  constructor() {
    /** Times as large as what fits. */
    this.zoom = 1;
    this.x = 0.5;
    this.y = 0.5;
    /** Quarter turns to the right, after mirroring. */
    this.turns = 0;
    this.mirrored = false;
  }

  /** Exactly as it was at first. */
  reset() {
    Object.assign(this, new Geometry());
  }

  fit() {
    Object.assign(this, { zoom: 1, x: 0.5, y: 0.5 });
  }

  isReset() {
    return this.zoom === 1 && this.x === 0.5 && this.y === 0.5 && this.turns === 0 && !this.mirrored;
  }

  /** Pane pixels for a pixel of the image, where it fits. @param {Size} image @param {Size} pane */
  fitting(image, pane) {
    const [width, height] = this.turns % 2 ? [image.height, image.width] : [image.width, image.height];
    return Math.min(pane.width / width, pane.height / height);
  }

  /** @param {Size} image @param {Size} pane @returns {Matrix} */
  matrix(image, pane) {
    const scale = this.zoom * this.fitting(image, pane);
    const [ra, rb, rc, rd] = TURNS[this.turns];
    const side = this.mirrored ? -scale : scale;
    const [a, b, c, d] = [ra * side, rb * side, rc * scale, rd * scale];
    const [x, y] = [this.x * image.width, this.y * image.height];
    return { a, b, c, d, e: pane.width / 2 - a * x - c * y, f: pane.height / 2 - b * x - d * y, scale };
  }

  /** The point of the image under a point of the pane. @param {Size} image @param {Size} pane @param {Point} at */
  under(image, pane, at) {
    return back(this.matrix(image, pane), at);
  }

  /** Zooms so that what lies under a point stays there. @param {number} factor @param {Size} image @param {Size} pane @param {Point} [at] */
  zoomBy(factor, image, pane, at = { x: pane.width / 2, y: pane.height / 2 }) {
    const held = this.under(image, pane, at);
    this.zoom = Math.min(LARGEST, Math.max(SMALLEST, this.zoom * factor));
    const now = this.under(image, pane, at);
    this.move(held.x - now.x, held.y - now.y, image);
  }

  /** One pixel of the image on so many of the pane, the middle kept. @param {number} scale @param {Size} image @param {Size} pane */
  zoomTo(scale, image, pane) {
    this.zoom = Math.min(LARGEST, scale / this.fitting(image, pane));
  }

  /** Pans by pixels of the pane. @param {number} x @param {number} y @param {Size} image @param {Size} pane */
  pan(x, y, image, pane) {
    const { a, b, c, d } = this.matrix(image, pane);
    const area = a * d - b * c;
    this.move(-(d * x - c * y) / area, -(a * y - b * x) / area, image);
  }

  /** Moves the centre by pixels of the image, never out of it. @param {number} x @param {number} y @param {Size} image */
  move(x, y, image) {
    this.x = within(this.x + x / image.width);
    this.y = within(this.y + y / image.height);
  }

  /** A quarter turn as it is seen: 1 to the right, -1 to the left. @param {number} by */
  turn(by) {
    this.turns = (this.turns + by + 4) % 4;
  }

  /** Mirrors left and right as they are seen. */
  flip() {
    this.turns = (4 - this.turns) % 4;
    this.mirrored = !this.mirrored;
  }

  /** Mirrors top and bottom as they are seen. */
  flop() {
    this.flip();
    this.turn(2);
  }
}

/** A point of the pane, as one of the image. @param {Matrix} matrix @param {Point} at @returns {Point} */
export function back({ a, b, c, d, e, f }, at) {
  const [x, y] = [at.x - e, at.y - f];
  const area = a * d - b * c;
  return { x: (d * x - c * y) / area, y: (a * y - b * x) / area };
}

/** A point of the image, as one of the pane. @param {Matrix} matrix @param {Point} at @returns {Point} */
export const forth = ({ a, b, c, d, e, f }, at) => ({ x: a * at.x + c * at.y + e, y: b * at.x + d * at.y + f });

/**
 * The same for pixels of the screen, of which a pane's pixel has several. Where one pixel of the image is one of the screen
 * they lie on each other: nothing is blurred.
 * @param {Matrix} matrix @param {number} density
 * @returns {Matrix}
 */
export function dense({ a, b, c, d, e, f, scale }, density) {
  const all = { a: a * density, b: b * density, c: c * density, d: d * density, e: e * density, f: f * density, scale: scale * density };
  if (Math.abs(all.scale - 1) < 1e-6) Object.assign(all, { a: Math.round(all.a), b: Math.round(all.b), c: Math.round(all.c), d: Math.round(all.d), e: Math.round(all.e), f: Math.round(all.f) });
  return all;
}
