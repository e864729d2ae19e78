// The server's routes.

/** @import { ImageItem, ImagePage, VerdictBody, VerdictMark } from "./types.js" */

/**
 * What the page reads of a model's card. Any of it may be missing.
 * @typedef {object} ModelCard
 * @property {number | null} [threshold] its operating point, 0 to 1
 * @property {{ images?: number, specificity?: number, specificity_at_half?: number, confusion?: { true_negative: number, false_positive: number } } | null} [validation] figures on validation images, shares 0 to 1
 */

/** A problem that the server described, or a connection that failed. */
export class Problem extends Error {
  /** @param {number} status 0 without an answer @param {{ title?: string, detail?: string } | null} body */
  constructor(status, body) {
    super(body?.detail ? `${body.title}: ${body.detail}` : body?.title ?? "The server cannot be reached.");
    this.status = status;
  }
}

/** Turns an answer that is not well into a Problem. @param {Response} response */
export async function checked(response) {
  if (response.ok) return response;
  let body = null;
  try { body = await response.json(); } catch { /* not a problem document */ }
  throw new Problem(response.status, body ?? { title: `The server answered ${response.status}.` });
}

/** The last event that the page was told of: no answer may be older, whichever server process gives it. */
let lastEvent = 0;

/** The page was told of events up to this one. @param {number | string} position */
export function told(position) {
  lastEvent = Math.max(lastEvent, Number(position));
}

/** @param {string} path @param {AbortSignal} [signal] */
async function get(path, signal) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", headers: { "Last-Event-ID": String(lastEvent) }, signal });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem(0, null);
  }
  return checked(response);
}

/** Whether a request was given up by this page itself. @param {unknown} error */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/** An error in words. @param {unknown} error */
export const wordsOf = (error) => (error instanceof Error ? error.message : String(error));

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
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
}

/**
 * Adds a verdict on an image; answers it as it is kept.
 * @param {string} id
 * @param {VerdictBody} verdict
 * @returns {Promise<VerdictMark>}
 */
export async function giveVerdict(id, verdict) {
  let response;
  try {
    response = await fetch(`/v1/images/${encodeURIComponent(id)}/verdicts`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(verdict),
    });
  } catch {
    throw new Problem(0, null);
  }
  const { opinion, label, rendering, at } = await (await checked(response)).json();
  return { opinion, label, seen: rendering !== null, at };
}

/**
 * `picture` or `heatmap` as an object URL, which whoever asked must revoke, and which rendering it is.
 * @param {string} id
 * @param {"picture" | "heatmap"} what
 * @param {AbortSignal} [signal]
 */
export async function png(id, what, signal) {
  const response = await get(`/v1/images/${encodeURIComponent(id)}/${what}`, signal);
  const rendering = response.headers.get("etag")?.replaceAll('"', "") ?? null;
  return { url: URL.createObjectURL(await response.blob()), rendering };
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
