// The list as the server has it, from its beginning on.

import * as api from "./api.js";

/** @import { ImagePage } from "./types.js" */

/** Images of the first page. */
export const PAGE = 50;
/** Images asked for at once where many are wanted: as many as the server gives. */
const MANY = 200;
/** Rows that are loaded again by themselves, however many there were. */
const MOST = 10_000;

/**
 * The first images of the list, about `count` of them, as one page. Its position is that of the oldest answer: what is
 * followed from there on misses nothing.
 * @param {URLSearchParams} filter
 * @param {number} count
 * @returns {Promise<ImagePage>}
 */
export async function firstImages(filter, count) {
  const wanted = Math.min(count, MOST);
  const page = await api.list(filter, null, wanted > PAGE ? MANY : PAGE);
  const images = new Map(page.items.map((image) => [image.id, image]));
  let { next } = page;
  while (next && images.size < wanted) {
    const more = await api.list(filter, next, MANY);
    for (const image of more.items) images.set(image.id, image);
    ({ next } = more);
  }
  return { ...page, items: [...images.values()], next };
}

/**
 * The images after a page.
 * @param {URLSearchParams} filter
 * @param {string} next
 * @param {boolean} many whether somebody wants to get far
 */
export const furtherImages = (filter, next, many) => api.list(filter, next, many ? MANY : PAGE);
