// Who paints films: the graphics processor where it can, this one otherwise.

import { gpu } from "./gpu.js";
import { processor } from "./processor.js";

/** @import { Film } from "./film.js" */
/** @import { Matrix } from "./geometry.js" */

/** One for the page: browsers give few contexts. @type {ReturnType<typeof gpu> | undefined} */
let graphics;

/** @param {Film} film */
function painter(film) {
  if (graphics === undefined || graphics?.gl.isContextLost()) graphics = gpu();
  return graphics?.takes(film) ? graphics : processor;
}

/** Whether a film is painted by the graphics processor. @param {Film} film */
export const isByGraphics = (film) => painter(film) !== processor;

/** Makes ready to paint a film without delay. @param {Film} film */
export const load = (film) => painter(film).load(film);

/** Nothing of a film is kept any more. @param {Film} film */
export const forget = (film) => graphics?.forget(film);

/** Paints a film over the whole of a canvas. @param {CanvasRenderingContext2D} into @param {Film} film @param {Uint8Array} greys grey of each sample @param {Matrix} matrix to pixels of the canvas */
export const paint = (into, film, greys, matrix) => painter(film).paint(into, film, greys, matrix);
