// What is known of an image: the word first, then where its score stands, warnings, and how the result came about.

import { el } from "./elements.js";
import { watch } from "./exposure.js";
import { identityFacts } from "./patient.js";
import { bandElement, verdictElement } from "./rows.js";
import { band, clock, duration, figure, meaning, standing, validated, warningWords } from "./words.js";

/** @import { ModelCard } from "./api.js" */
/** @import { ImageItem, ResultBody } from "./types.js" */

/** @param {ImageItem} image @param {ModelCard | null} card */
export function resultElements(image, card) {
  const result = image.result;
  const word = verdictElement(image);
  /** @type {HTMLElement[]} */
  const parts = [word];
  if (result) watch(word, image.id, result.model.sha256, "word");
  if (image.reason_detail) parts.push(el("p", {}, image.reason_detail));
  if (result) {
    const scored = el("div", {}, standingElement(result, card), bandElement(result));
    watch(scored, image.id, result.model.sha256, "probability");
    parts.push(scored);
  }
  const warnings = warningWords(image);
  if (warnings.length > 0) {
    parts.push(el("div", { class: "warnings" }, el("strong", {}, "To know about this image"),
      el("ul", {}, ...warnings.map((warning) => el("li", {}, warning)))));
  }
  parts.push(facts(image, card));
  if (result) parts.push(el("p", { class: "statement" }, result.statement_of_use));
  return parts;
}

/** Where the score stands, as far as the model's card says. @param {ResultBody} result @param {ModelCard | null} card */
function standingElement(result, card) {
  const words = standing(result, card);
  return el("p", { class: "standing" }, el("strong", {}, `Score ${band(result)}`), words && el("small", {}, words));
}

/** @param {ImageItem} image @param {ModelCard | null} card */
function facts(image, card) {
  const result = image.result;
  const subtype = result?.subtype;
  /** @type {[string, string | null | undefined][]} */
  const rows = [
    ...identityFacts(image),
    ["Score", result && `${figure(result.probability)} ${meaning(result, card)}`],
    ["Threshold", result && [figure(result.threshold), validated(result, card)].filter(Boolean).join("; ")],
    ["Subtype", subtype && `${subtype.label.toLowerCase()} (experimental)`],
    ["Priority", image.priority],
    ["Received", clock(image.received_at)],
    ["Finished", image.finished_at && `${clock(image.finished_at)}, took ${duration((Date.parse(image.finished_at) - Date.parse(image.received_at)) / 1000)}`],
    ["Model", result?.model.version],
    ["Weights", result && `SHA-256 ${result.model.sha256}`],
    ["Preprocessing", result?.model.preprocessing],
    ["Id", image.id],
  ];
  const known = rows.filter(([, value]) => value);
  return el("dl", {}, ...known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
