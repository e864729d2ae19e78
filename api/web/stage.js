// One image on the screen: the picture of 8 bits as soon as it is there, then the film over it, the heatmap above, marks on top.

import { el } from "./elements.js";
import { dense } from "./geometry.js";
import { Marks } from "./marks.js";
import { Measure } from "./measure.js";
import { paint } from "./painter.js";
import { Tone } from "./tone.js";

/** @import { Film } from "./film.js" */
/** @import { Geometry, Matrix, Point, Size } from "./geometry.js" */

export class Pane {
  /** @param {string} alt what the picture shows @param {() => void} resized is called when there is another size to draw for */
  constructor(alt, resized) {
    this.picture = el("img", { class: "picture", alt });
    this.canvas = el("canvas", { class: "film", "aria-hidden": "true", hidden: true });
    this.heat = el("img", { class: "heat", alt: "", hidden: true });
    /** The part of the pane over which the heatmap lies: what is watched for being seen, however far it is zoomed. */
    this.cover = el("div", { class: "cover", hidden: true }, this.heat);
    this.marks = new Marks();
    this.measure = new Measure();
    this.readout = el("p", { class: "readout", "aria-hidden": "true" });
    this.element = el("div", { class: "layers", hidden: true },
      this.picture, this.canvas, this.cover, this.measure.element, this.marks.element, this.readout);
    /** @type {Film | null} */
    this.film = null;
    /** @type {Tone | null} */
    this.tone = null;
    /** Where everything lies, as it was drawn last. @type {Matrix | null} */
    this.matrix = null;
    /** What the film is under the pointer. */
    this.probed = "";
    /** Pixels of the screen that the pane has: what its borders come to where they lie between two. @type {Size | null} */
    this.device = null;
    this.observer = new ResizeObserver((entries) => {
      const exact = entries[entries.length - 1]?.devicePixelContentBoxSize?.[0];
      this.device = exact ? { width: exact.inlineSize, height: exact.blockSize } : null;
      resized();
    });
    try {
      this.observer.observe(this.element, { box: "device-pixel-content-box" });
    } catch {
      // Not every browser tells.
      this.observer.observe(this.element);
    }
  }

  /** Nothing is kept. */
  end() {
    this.observer.disconnect();
    this.film = null;
    this.tone = null;
  }

  /** @param {Film} film */
  show(film) {
    const inverted = this.tone?.inverted ?? false;
    this.film = film;
    this.tone = new Tone(film);
    if (inverted) this.tone.invert();
    this.element.dataset.depth = String(film.samples.BYTES_PER_ELEMENT * 8);
  }

  /** Pixels of the image; null while there is none. @returns {Size | null} */
  get size() {
    if (this.film) return this.film;
    const { naturalWidth: width, naturalHeight: height } = this.picture;
    return width && height ? { width, height } : null;
  }

  /** @returns {Size} */
  get box() {
    const density = devicePixelRatio;
    if (this.device) return { width: this.device.width / density, height: this.device.height / density };
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  /** Draws everything. @param {Geometry} geometry */
  draw(geometry) {
    const { size, box } = this;
    if (!size || !box.width || !box.height) return;
    const matrix = geometry.matrix(size, box);
    this.matrix = matrix;
    const { a, b, c, d, e, f } = matrix;
    for (const layer of [this.picture, this.heat]) {
      Object.assign(layer.style, { width: `${size.width}px`, height: `${size.height}px`, transform: `matrix(${[a, b, c, d, e, f].join()})` });
    }
    if (this.film && this.tone) this.paint(this.film, this.tone, matrix, box);
    this.marks.draw(matrix, this.film?.about.orientation ?? null);
    this.measure.draw(matrix, this.film?.about.spacing ?? null);
    this.write();
  }

  /** @param {Film} film @param {Tone} tone @param {Matrix} matrix @param {Size} box */
  paint(film, tone, matrix, box) {
    const density = devicePixelRatio;
    const { width, height } = this.device ?? { width: Math.round(box.width * density), height: Math.round(box.height * density) };
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    paint(context, film, tone.lookup(), dense(matrix, density));
    this.canvas.hidden = false;
  }

  /** Tells what the film is at a point of the pane; of none where it leaves. @param {Point | null} at */
  probe(at) {
    const { film, matrix } = this;
    this.probed = "";
    if (film && matrix && at) {
      const { a, b, c, d, e, f } = matrix;
      const [x, y, area] = [at.x - e, at.y - f, a * d - b * c];
      const [column, row] = [Math.floor((d * x - c * y) / area), Math.floor((a * y - b * x) / area)];
      if (column >= 0 && row >= 0 && column < film.width && row < film.height) {
        const value = film.samples[row * film.width + column] * film.about.slope + film.about.intercept;
        this.probed = `value ${Number(value.toPrecision(5))}`;
      }
    }
    this.write();
  }

  write() {
    const { film, tone, matrix } = this;
    /** @type {Record<string, string>} */
    const sides = { R: "right side", L: "left side", B: "both sides" };
    const parts = [
      matrix && `${Math.round(matrix.scale * devicePixelRatio * 100)} %`,
      film && tone ? tone.words() : "8 bits, for a first look",
      film && `${film.width} × ${film.height}, ${Math.ceil(Math.log2(film.about.top + 1))} bits`,
      film?.about.laterality && sides[film.about.laterality],
      this.probed,
    ];
    this.readout.textContent = parts.filter(Boolean).join(" · ");
  }
}
