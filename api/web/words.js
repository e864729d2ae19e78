// The page's own words. Never "normal", never a diagnosis.

/** @import { ModelCard } from "./api.js" */
/** @import { ImageItem, ResultBody, VerdictMark } from "./types.js" */

/** @typedef {import("./elements.js").Shape} Shape */
/** @typedef {{ word: string, more?: string, shape: Shape, tone: string, human?: boolean }} Said */

const NEAR = 0.05;

/**
 * What the page says about an image: words, shape and tone, so that colour is never alone.
 * @param {ImageItem} image
 * @returns {Said}
 */
export function verdict(image) {
  const reason = image.reason_text ?? "The reason is not known.";
  switch (image.status) {
    case "queued": return { word: "Queued", shape: "ring", tone: "waiting" };
    case "analysing": return { word: "Analysing", shape: "half", tone: "waiting" };
    case "needs_human":
    case "failed": return { word: "Not assessed", more: reason, shape: "square", tone: "human", human: true };
    case "superseded": return { word: "Replaced", more: "A newer upload took its place.", shape: "ring", tone: "waiting" };
    case "removed": return { word: "Removed", more: "It was deleted from the bucket.", shape: "ring", tone: "waiting" };
    case "ready": return image.withheld ? withheld(image.withheld) : assessed(image.result);
    default: return { word: "Indeterminate", more: `Unknown state: ${image.status}.`, shape: "diamond", tone: "human", human: true };
  }
}

/** A result that there is and that is not shown yet: it never looks like any. @param {string} why @returns {Said} */
function withheld(why) {
  return why === "own_opinion_first"
    ? { word: "Your opinion first", more: "The result is shown when you have said what you see.", shape: "diamond", tone: "human" }
    : { word: "Result withheld", more: "What you have said of it cannot be read now.", shape: "diamond", tone: "human", human: true };
}

/** @param {ResultBody | null} result @returns {Said} */
function assessed(result) {
  if (!result || !Number.isFinite(result.probability) || typeof result.flagged !== "boolean") {
    return { word: "Indeterminate", more: "There is no usable result.", shape: "diamond", tone: "human", human: true };
  }
  return result.flagged
    ? { word: "Suspected pneumonia", shape: "triangle", tone: "flagged" }
    : { word: "Not flagged", shape: "dash", tone: "clear" };
}

/** What warnings say, by their codes (docs/patients.md, imaging). @type {Record<string, string>} */
const WARNINGS = {
  oriented: "The image was turned as its file says.",
  reduced_depth: "The image was reduced to 8 bits per pixel.",
  transparent: "Transparent parts of the image were laid on black.",
  tinted: "The image is slightly coloured and was read as grey.",
  low_resolution: "The image has fewer pixels than the network reads.",
  age_unknown: "The image says whose it is, but not how old they were: whether the network was trained for them is not known.",
  new_version: "Another version of this image came before, with other content.",
  patient_differs: "Its file names another person than earlier images of this patient ID do. Look whether the patient is the right one.",
  patient_id_differs: "It was stored as another patient's than its file says. Look whether the patient is the right one.",
  instance_uid_shared: "An image of another patient or study has the same SOP Instance UID. Look whether the patient is the right one.",
};

/** Of these, those of the person: they stand in lists, too. @type {Record<string, string>} */
const OF_PERSON = {
  patient_differs: "Other person?",
  patient_id_differs: "Other person?",
  instance_uid_shared: "UID of another image",
  new_version: "New version",
  age_unknown: "Age unknown",
};

/** @param {ImageItem} image */
const codesOf = (image) => [...new Set([...image.result?.warnings ?? [], ...image.instance?.warnings ?? []])];

/** Everything to know about an image, in words, each once. @param {ImageItem} image */
export const warningWords = (image) => codesOf(image).map((code) => WARNINGS[code] ?? code);

/** What is to be known of the person, short, each once: for rows, priors and the head of an image. @param {ImageItem} image */
export const personWarnings = (image) => [...new Set(codesOf(image).map((code) => OF_PERSON[code]).filter((word) => word !== undefined))];

/** The newest verdict of a reader. @param {VerdictMark | null | undefined} given */
export function opinionWords(given) {
  if (!given) return "No verdict was given yet.";
  const blind = given.seen ? "" : " The picture was not on the screen: nothing is learnt from it.";
  return `${clock(given.at)} ${saidWords(given)}.${blind}`;
}

/** What a verdict, or an opinion before the result, comes to. @param {{ opinion: string, label: string | null }} given */
export function saidWords({ opinion, label: word }) {
  const label = word === "PNEUMONIA" ? "pneumonia" : "no pneumonia";
  /** @type {Record<string, string>} */
  const words = {
    agree: `agreed: ${label}`, disagree: `labelled: ${label}`, not_assessable: "found not assessable", unreadable: "said what this release cannot read",
    own: word ? `saw before the result: ${label}` : "found not assessable before the result",
  };
  return words[opinion] ?? opinion;
}

/** What makes a picture not assessable, by its word. @type {Record<string, string>} */
export const CAUSES = {
  rotation: "Rotated",
  exposure: "Too dark or too light",
  inspiration: "Poor inspiration",
  cut_off: "Lungs cut off",
  artefact: "Artefact or movement",
  not_frontal_chest: "Not a frontal chest",
  other: "Something else: say it in the note",
};

/** A score or threshold, exactly enough to compare the two. No percentage: it is no probability. @param {number} value */
export const figure = (value) => value.toFixed(3);

/** Where a score stands to the threshold. @param {ResultBody} result */
export function band(result) {
  const distance = result.probability - result.threshold;
  if (Math.abs(distance) < NEAR) return "near the threshold";
  return distance > 0 ? "above the threshold" : "below the threshold";
}

/**
 * What a score means by the card of its model, as far as the card tells: the share of normal validation images that lie
 * below it is known at the operating point and at 0.5. Null where nothing can be said.
 * @param {ResultBody} result
 * @param {ModelCard | null} card
 */
export function standing(result, card) {
  const share = shareBelow(result, card);
  const { confusion } = card?.validation ?? {};
  const normal = confusion ? confusion.true_negative + confusion.false_positive : null;
  const of = normal ? `${number(normal)} normal validation images` : "the normal validation images";
  return share === null ? null : `higher than at least ${share}\u00a0% of ${of}`;
}

/**
 * A card's figures on validation images, where they were measured at its own threshold: those of a model that was calibrated to a
 * site are its parent's.
 * @param {ModelCard | null} card
 */
const ownFigures = (card) => (card?.validation?.at_threshold_of ? {} : (card?.validation ?? {}));

/**
 * Of a hundred normal validation images, how many score lower than a result at least; null where the card does not tell.
 * @param {ResultBody} result
 * @param {ModelCard | null} card
 */
export function shareBelow(result, card) {
  const { images, specificity, specificity_at_half: atHalf } = ownFigures(card);
  /** @type {[number, number | undefined][]} */
  const known = [[result.threshold, specificity], [0.5, atHalf]];
  const below = known.filter(([at, share]) => result.probability >= at && Number.isFinite(share)).map(([, share]) => share ?? 0);
  if (below.length === 0 || card?.threshold !== result.threshold || !images) return null;
  const share = Math.floor(Math.max(...below) * 100);
  return share > 0 ? share : null;
}

/**
 * What a threshold came to on the validation images of its model, in words; null where the card does not tell.
 * @param {ResultBody} result
 * @param {ModelCard | null} card
 */
export function validated(result, card) {
  const { images, confusion } = ownFigures(card);
  const { true_positive: flagged = 0, false_negative: missed = 0, true_negative: clear = 0, false_positive: wrong = 0 } = confusion ?? {};
  if (card?.threshold !== result.threshold || !images || flagged + missed === 0 || clear + wrong === 0) return null;
  const [sensitivity, specificity] = [flagged / (flagged + missed), clear / (clear + wrong)].map(figure);
  return `on ${number(images)} validation images, from where the model was trained: sensitivity ${sensitivity}, specificity ${specificity}; other places may differ`;
}

/**
 * What a score means, as far as the card of the model that gave it says.
 * @param {ResultBody} result
 * @param {ModelCard | null} card
 */
export function meaning(result, card) {
  if (card?.score_is_probability !== true || card.threshold !== result.threshold) return "on the model's own scale from 0 to 1; not a probability";
  return `on a scale from 0 to 1: where half of the images show pneumonia, about ${Math.round(result.probability * 100)} of 100 with this score do`;
}

/** Seconds as people say them. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** Time of day, and the date when it is not today. @param {string} iso */
export function clock(iso) {
  const at = new Date(iso);
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString()} ${time}`;
}

/** Hours and minutes. @param {Date} date */
export const hourMinute = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** The first eight digits of an id: enough to tell rows apart. @param {string} id */
export const shortId = (id) => id.slice(0, 8);

/** A count with its thousands set apart. @param {number} value */
export const number = (value) => value.toLocaleString("en");
