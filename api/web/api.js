// The server's routes for images.

import { Problem, ask, isAbort, isPassing, wordsOf } from "./request.js";

/** @import { ClaimBody, CopyBody, ImageItem, ImagePage, OpinionBody, VerdictBody, VerdictItem, VerdictList, VerdictMark } from "./types.js" */

export { Problem, isAbort, isPassing, wordsOf };

/**
 * What the page reads of a model's card. Any of it may be missing.
 * @typedef {object} ModelCard
 * @property {number | null} [threshold] its operating point, 0 to 1
 * @property {boolean | null} [score_is_probability] whether its calibration was measured and is good
 * @property {{ images?: number, at_threshold_of?: string, specificity?: number, specificity_at_half?: number, confusion?: { true_negative: number, false_positive: number, true_positive?: number, false_negative?: number } } | null} [validation] figures on validation images, shares 0 to 1
 */

/** The last event that the page was told of: no answer may be older, whichever server process gives it. */
let lastEvent = 0;

/** The page was told of events up to this one. @param {number | string} position */
export function told(position) {
  lastEvent = Math.max(lastEvent, Number(position));
}

/** @param {string} path @param {AbortSignal} [signal] @param {boolean} [byItself] see request.js */
const get = (path, signal, byItself) => ask("GET", path, { headers: { "Last-Event-ID": String(lastEvent) }, signal, byItself });

/**
 * A page of images.
 * @param {URLSearchParams} filter
 * @param {string | null} after
 * @param {number} limit
 * @param {AbortSignal} [signal]
 * @returns {Promise<ImagePage>}
 */
export async function list(filter, after, limit, signal) {
  const query = new URLSearchParams(filter);
  if (after) query.set("after", after);
  query.set("limit", String(limit));
  const page = await (await get(`/v1/images?${query}`, signal)).json();
  told(page.last_event);
  return page;
}

/**
 * One image; null when it is not known (yet).
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<ImageItem | null>}
 */
export async function image(id, signal) {
  try {
    return await (await get(`/v1/images/${encodeURIComponent(id)}`, signal)).json();
  } catch (error) {
    if (error instanceof Problem && [404, 410].includes(error.status)) return null;
    throw error;
  }
}

/**
 * Earlier images of the same patient, newest first.
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<ImageItem[]>}
 */
export async function priors(id, signal) {
  return (await (await get(`/v1/images/${encodeURIComponent(id)}/priors`, signal)).json()).items;
}

/** A verdict in short. @param {VerdictItem} given @returns {VerdictMark} */
export const markOf = ({ id, opinion, label, rendering, at }) => ({ id, opinion, label, seen: rendering !== null, at });

/**
 * Adds a verdict on an image; answers it as it is kept.
 * @param {string} id
 * @param {VerdictBody} verdict
 * @param {string | null | undefined} seen the image's `verdicts_etag`: it is refused where something newer is there
 * @returns {Promise<VerdictMark>}
 */
export async function giveVerdict(id, verdict, seen) {
  const headers = seen ? { "If-Match": seen } : undefined;
  const response = await ask("POST", `/v1/images/${encodeURIComponent(id)}/verdicts`, { body: verdict, headers });
  /** @type {VerdictItem} */
  const given = await response.json();
  return markOf(given);
}

/** Takes an own verdict back. @param {string} id of its image @param {string} verdict its own */
export async function withdrawVerdict(id, verdict) {
  await ask("POST", `/v1/images/${encodeURIComponent(id)}/verdicts/${encodeURIComponent(verdict)}/withdrawal`);
}

/**
 * What readers said of an image, oldest first.
 * @param {string} id
 * @returns {Promise<VerdictList>}
 */
export async function verdicts(id) {
  return (await get(`/v1/images/${encodeURIComponent(id)}/verdicts`)).json();
}

/**
 * Says what its reader sees in an image whose result is withheld until then.
 * @param {string} id
 * @param {OpinionBody} opinion
 */
export async function giveOpinion(id, opinion) {
  await ask("POST", `/v1/images/${encodeURIComponent(id)}/opinion`, { body: opinion });
}

/**
 * Says that an image is open in front of this reader; answers who has it.
 * @param {string} id
 * @param {boolean} takeOver whether also where another reader has it
 * @returns {Promise<ClaimBody>}
 */
export async function claim(id, takeOver) {
  const path = `/v1/images/${encodeURIComponent(id)}/claim${takeOver ? "?take_over=true" : ""}`;
  return (await ask("POST", path)).json();
}

/** Says that an image is closed, also while the page closes. @param {string} id */
export async function release(id) {
  await ask("DELETE", `/v1/images/${encodeURIComponent(id)}/claim`, { keepalive: true });
}

/**
 * `picture`, `thumbnail` or `heatmap` as an object URL, which whoever asked must revoke, and which rendering it is.
 * @param {string} id
 * @param {"picture" | "thumbnail" | "heatmap"} what
 * @param {AbortSignal} [signal]
 * @param {boolean} [byItself] whether nobody looks at it yet
 */
export async function png(id, what, signal, byItself) {
  const response = await get(`/v1/images/${encodeURIComponent(id)}/${what}`, signal, byItself);
  return { url: URL.createObjectURL(await response.blob()), rendering: renderingOf(response) };
}

/**
 * An image at full resolution and depth, for film.js, and which rendering it is.
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @param {boolean} [byItself] whether nobody looks at it yet
 */
export async function pixels(id, signal, byItself) {
  const response = await get(`/v1/images/${encodeURIComponent(id)}/pixels`, signal, byItself);
  return { bytes: await response.arrayBuffer(), rendering: renderingOf(response) };
}

/** @param {Response} response */
const renderingOf = (response) => response.headers.get("etag")?.replaceAll('"', "") ?? null;

/** Puts on record that a picture of an image leaves the page. @param {string} id @param {CopyBody} body */
export async function copied(id, body) {
  await ask("POST", `/v1/images/${encodeURIComponent(id)}/copies`, { body });
}

/** @type {Map<string, Promise<ModelCard | null>>} */
const cards = new Map();

/** The card of a model, asked for once; null where none can be had. @param {string} version */
export function card(version) {
  const known = cards.get(version) ?? get(`/v1/models/${encodeURIComponent(version)}`)
    .then(async (response) => (await response.json()).card ?? null)
    .catch(() => {
      cards.delete(version);
      return null;
    });
  cards.set(version, known);
  return known;
}
