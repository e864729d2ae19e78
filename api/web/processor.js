// Paints films without graphics: the same arithmetic as gpu.js, pixel by pixel.

import { back } from "./geometry.js";
import { ACROSS } from "./gpu.js";

/** @import { Film } from "./film.js" */
/** @import { Matrix } from "./geometry.js" */

/** The value of a film at a point: between samples where they are enlarged, the mean of those that one pixel covers elsewhere. @param {Film} film @param {number} x @param {number} y @param {number} stride samples that a pixel covers a side @param {number} across */
function sampled({ width, height, samples }, x, y, stride, across) {
  const at = (/** @type {number} */ column, /** @type {number} */ row) =>
    samples[Math.min(height - 1, Math.max(0, row)) * width + Math.min(width - 1, Math.max(0, column))];
  if (across === 1) {
    const [left, upper] = [Math.floor(x - 0.5), Math.floor(y - 0.5)];
    const [right, down] = [x - 0.5 - left, y - 0.5 - upper];
    const above = at(left, upper) * (1 - right) + at(left + 1, upper) * right;
    const below = at(left, upper + 1) * (1 - right) + at(left + 1, upper + 1) * right;
    return above * (1 - down) + below * down;
  }
  const part = stride / across;
  const [left, upper] = [x - stride / 2 + part / 2, y - stride / 2 + part / 2];
  let sum = 0;
  for (let row = 0; row < across; row += 1) {
    for (let column = 0; column < across; column += 1) sum += at(Math.floor(left + part * column), Math.floor(upper + part * row));
  }
  return sum / (across * across);
}

export const processor = {
  takes: () => true,
  load() {},
  forget() {},
  /** @param {CanvasRenderingContext2D} into @param {Film} film @param {Uint8Array} greys @param {Matrix} matrix */
  paint(into, film, greys, matrix) {
    const { width, height } = into.canvas;
    const image = into.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const stride = 1 / matrix.scale;
    const across = Math.min(ACROSS, Math.max(1, Math.ceil(stride - 1e-6)));
    const first = back(matrix, { x: 0.5, y: 0.5 });
    const [right, down] = [back(matrix, { x: 1.5, y: 0.5 }), back(matrix, { x: 0.5, y: 1.5 })];
    const steps = [right.x - first.x, right.y - first.y, down.x - first.x, down.y - first.y];
    for (let row = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1) {
        const x = first.x + column * steps[0] + row * steps[2];
        const y = first.y + column * steps[1] + row * steps[3];
        if (x < 0 || y < 0 || x >= film.width || y >= film.height) continue;
        const grey = greys[Math.floor(sampled(film, x, y, stride, across) + 0.5)];
        pixels[row * width + column] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
      }
    }
    into.putImageData(image, 0, 0);
  },
};
