// The columns that a list can have: their headings, and what a row shows in each.

import { card } from "./api.js";
import { el } from "./elements.js";
import { unwatch, watch } from "./exposure.js";
import { aboutPatient, studyTime, who } from "./patient.js";
import { readingElement, readingWords } from "./reading.js";
import { bandElement, verdictElement, warnedElement } from "./rows.js";
import { drawThumbnail } from "./thumbnails.js";
import { band, clock, duration, figure, personWarnings, shareBelow, shortId, standing } from "./words.js";

/** @import { ImageItem, ResultBody } from "./types.js" */

/**
 * A column. Boxes have the height of a row, whatever is in them; a `short` one shows a line and an ellipsis.
 * @typedef {object} Column
 * @property {string} name of its class, and what a browser keeps of it
 * @property {string} words its heading
 * @property {number | null} width in rem; null where it has what the others leave
 * @property {boolean} [extra] whether a list has it only where somebody asks for it
 * @property {boolean} [short] whether it is one line
 * @property {(box: HTMLElement, image: ImageItem) => void} draw fills the box of a row
 */

/** Text with its whole as a hint, however much of it there is room for. @param {HTMLElement} box @param {string | null | undefined} words @param {string} [hint] */
function say(box, words, hint = words ?? "") {
  box.textContent = words || "–";
  box.title = hint;
}

/** In words, and no percentage: a score is no probability. @param {ResultBody | null} result */
function score(result) {
  if (!result) return [el("span", { class: "muted", "aria-label": "none" }, "–")];
  const title = `Score ${figure(result.probability)}, threshold ${figure(result.threshold)}, on a scale of the model's own from 0 to 1. Not a probability.`;
  return [el("div", { class: "score", title }, el("span", {}, band(result)), bandElement(result))];
}

/** What of the answer an element shows is on record. @param {HTMLElement} box @param {ImageItem} image @param {"flag" | "probability"} part */
function record(box, { id, result }, part) {
  if (result) watch(box, id, result.model.sha256, part);
  else unwatch(box);
}

/** How long an image waits, or how long it took. @param {ImageItem} image */
function waiting(image) {
  const received = Date.parse(image.received_at);
  if (image.finished_at) return `took ${duration((Date.parse(image.finished_at) - received) / 1000)}`;
  return duration((Date.now() - received) / 1000);
}

/** Whom it shows, as the link that opens it. @param {HTMLElement} box @param {ImageItem} image */
function patient(box, image) {
  const { patient: known } = image;
  const name = known ? who(known) : `Image ${shortId(image.id)}`;
  const more = known ? aboutPatient(image) : image.identity_unavailable ? "whose it is cannot be read now" : "no patient is named";
  const hint = [name, ...personWarnings(image), more].join(", ");
  // The link stays what it is where nothing has changed: somebody may be about to press it.
  if (box.hasChildNodes() && box.title === hint) return;
  const warned = warnedElement(image);
  const line = [...(warned ? [warned, " · "] : []), more];
  const link = el("a", { class: "open", href: `#/images/${image.id}` }, name, el("span", { class: "unseen" }, `, open image ${shortId(image.id)}`));
  const had = box.contains(document.activeElement);
  box.replaceChildren(link, el("small", {}, ...line));
  box.title = hint;
  if (had) link.focus({ preventScroll: true });
}

/**
 * Where a score stands among those of normal images, which the card of its model tells: in words, and no percentage.
 * @param {HTMLElement} box @param {ImageItem} image
 */
async function rank(box, image) {
  const { result } = image;
  record(box, image, "probability");
  const asked = result ? `${result.model.sha256} ${result.probability}` : "";
  if (box.dataset.asked === asked) return;
  box.dataset.asked = asked;
  say(box, null, "");
  const known = result && await card(result.model.version);
  if (!result || box.dataset.asked !== asked) return;
  const share = shareBelow(result, known);
  if (share !== null) say(box, `above ${share} of 100`, standing(result, known) ?? "");
  else box.title = "The card of the model does not tell how many normal images score lower.";
}

/** All that there are, in the order in which they stand at first. @type {Column[]} */
export const COLUMNS = [
  { name: "thumbnail", words: "Picture", width: 4.6, draw: drawThumbnail },
  {
    name: "assessment",
    words: "Assessment",
    width: 20,
    draw(box, image) {
      box.replaceChildren(verdictElement(image),
        ...(image.priority === "stat" ? [el("span", { class: "badge", title: "Urgent" }, "STAT")] : []));
      box.title = box.textContent ?? "";
      record(box, image, "flag");
    },
  },
  { name: "patient", words: "Patient", width: null, draw: patient },
  {
    name: "read",
    words: "Read",
    width: 10,
    draw(box, image) {
      const { word, more } = readingWords(image);
      const hint = [word, more].filter(Boolean).join(", ");
      if (box.hasChildNodes() && box.title === hint) return;
      box.replaceChildren(readingElement(image));
      box.title = hint;
    },
  },
  {
    name: "score",
    words: "Score",
    width: 10.5,
    draw(box, image) {
      box.replaceChildren(...score(image.result));
      record(box, image, "probability");
    },
  },
  { name: "rank", words: "Rank", width: 8.5, extra: true, short: true, draw: rank },
  { name: "study", words: "Study", width: 10.5, short: true, draw: (box, image) => say(box, studyTime(image)) },
  { name: "accession", words: "Accession", width: 9, extra: true, short: true, draw: (box, image) => say(box, image.study?.accession) },
  { name: "view", words: "View", width: 4.5, extra: true, short: true, draw: (box, image) => say(box, image.instance?.view_position) },
  { name: "site", words: "Site", width: 8, short: true, draw: (box, image) => say(box, image.site) },
  { name: "received", words: "Received", width: 10, short: true, draw: (box, image) => say(box, clock(image.received_at), image.received_at) },
  { name: "waiting", words: "Waiting", width: 6.5, short: true, draw: (box, image) => say(box, waiting(image)) },
  { name: "model", words: "Model", width: 8, short: true, draw: (box, image) => say(box, image.result?.model.version) },
];
