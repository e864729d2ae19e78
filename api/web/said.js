// A sentence over the page's lower edge, which is read out and goes by itself.

import { byId } from "./elements.js";

/** How long it stays, in ms. */
const STAYS = 5_000;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Says something. @param {string} words */
export function say(words) {
  const place = byId("said");
  clearTimeout(timer);
  place.textContent = words;
  timer = setTimeout(() => { place.textContent = ""; }, STAYS);
}
