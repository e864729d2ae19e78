// How one patient's scores went over time: this image's and its priors', as far as their reader may see them.

import { el } from "./elements.js";
import { watch } from "./exposure.js";
import { madeWords } from "./patient.js";
import { band, figure } from "./words.js";

/** @import { ImageItem, ResultBody } from "./types.js" */

/** An image with its result, and when it was made. @typedef {{ item: ImageItem, result: ResultBody, at: number }} Scored */

/** When an image was made, in ms. @param {ImageItem} image */
function madeAt({ study, received_at: received }) {
  const [, year, month, day] = /^(\d{4})(\d\d)(\d\d)$/.exec(study?.date ?? "") ?? [];
  return year ? Date.UTC(Number(year), Number(month) - 1, Number(day)) : Date.parse(received);
}

/**
 * The course, oldest first; null where there are not two scores of this image's model: those of different models are not
 * comparable.
 * @param {ImageItem} image @param {ImageItem[]} priors
 */
export function courseElement(image, priors) {
  const model = image.result?.model.sha256;
  /** @type {Scored[]} */
  const scored = [];
  for (const item of [image, ...priors]) {
    if (item.result && item.result.model.sha256 === model && Number.isFinite(item.result.probability)) scored.push({ item, result: item.result, at: madeAt(item) });
  }
  if (scored.length < 2 || !image.result) return null;
  scored.sort((one, other) => one.at - other.at);
  const [first, last] = [scored[0].at, scored[scored.length - 1].at];
  const place = (/** @type {number} */ at) => (last > first ? (at - first) / (last - first) : 0.5);
  const points = scored.map(({ item, result, at }) => {
    const point = el("li", { class: item.id === image.id ? "now" : "" },
      el("span", { class: "unseen" }, `${madeWords(item)}: score ${figure(result.probability)}, ${band(result)}`));
    point.title = point.textContent ?? "";
    point.style.left = `${place(at) * 100}%`;
    point.style.bottom = `${result.probability * 100}%`;
    watch(point, item.id, result.model.sha256, "probability");
    return point;
  });
  const threshold = el("div", { class: "course-threshold", "aria-hidden": "true" });
  threshold.style.bottom = `${image.result.threshold * 100}%`;
  return el("figure", { class: "course" },
    el("figcaption", {}, "Scores of the same model over time; the line is its threshold"),
    el("div", { class: "course-field" }, threshold, el("ol", {}, ...points)),
    el("p", { class: "course-dates", "aria-hidden": "true" }, el("span", {}, madeWords(scored[0].item)), el("span", {}, madeWords(scored[scored.length - 1].item))));
}
