// What is said of an image, as elements: in rows of the list, beside priors, in the head of an image.

/** @import { ImageItem, ResultBody } from "./types.js" */

import { el, shape } from "./elements.js";
import { personWarnings, verdict } from "./words.js";

/** The verdict as shape, word and colour. @param {ImageItem} image */
export function verdictElement(image) {
  const said = verdict(image);
  const more = [said.more, said.human ? "A person must look at it." : null].filter(Boolean).join(" ");
  return el("span", { class: `verdict tone-${said.tone}` }, shape(said.shape),
    el("span", {}, said.more ? `${said.word}: ` : said.word, more ? el("small", {}, more) : null));
}

/** The score on a band with the threshold marked. @param {ResultBody} result */
export function bandElement(result) {
  const fill = el("i");
  const mark = el("b");
  fill.style.width = `${result.probability * 100}%`;
  mark.style.left = `calc(${result.threshold * 100}% - 1px)`;
  return el("div", { class: result.flagged ? "band flagged" : "band", "aria-hidden": "true" }, fill, mark);
}

/** What is to be known of the person, in a few words; null where nothing is. @param {ImageItem} image */
export function warnedElement(image) {
  const words = personWarnings(image);
  return words.length > 0 ? el("strong", { class: "warned" }, words.join(", ")) : null;
}
