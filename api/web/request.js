// How this page asks the server: what every request carries, and what becomes of one whose session is over.

/** A pointer or a key that was used so lately stands for a person who caused a request, in ms. */
const RECENT = 5_000;

/** A problem that the server described (RFC 9457), or a connection that failed. */
export class Problem extends Error {
  /**
   * @param {number} status 0 without an answer
   * @param {{ type?: string, title?: string, detail?: string, newer?: string } | null} body
   * @param {number | null} wait seconds after which to ask again, as far as the server says so
   */
  constructor(status, body, wait = null) {
    super(body?.detail ? `${body.title}: ${body.detail}` : body?.title ?? "The server cannot be reached.");
    this.status = status;
    /** The last part of its type: `not-signed-in`. */
    this.kind = body?.type?.split("/").pop() ?? "";
    this.detail = body?.detail ?? "";
    /** What is newer than what a verdict was given on: `result` or `verdict`. */
    this.newer = body?.newer ?? "";
    this.wait = wait;
  }
}

/** Whether a request was given up by this page itself. @param {unknown} error */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/** Whether an error may pass by itself: no answer, too many requests, or a fault of the server. @param {unknown} error */
export const isPassing = (error) => error instanceof Problem && (error.status === 0 || error.status === 429 || error.status >= 500);

/** An error in words. @param {unknown} error */
export const wordsOf = (error) => (error instanceof Error ? error.message : String(error));

/** Proves that a request comes from this page; null where no cookie signs in. @type {string | null} */
let token = null;
let actedAt = -Infinity;
let saidAt = -Infinity;

for (const name of ["pointerdown", "pointermove", "keydown", "wheel"]) {
  addEventListener(name, (event) => { if (event.isTrusted) actedAt = performance.now(); }, { capture: true, passive: true });
}

/** Milliseconds since the server was last told that a person is at work. */
export const sinceSaid = () => performance.now() - saidAt;

/** Milliseconds since a pointer or a key was used on this page. */
export const sinceActed = () => performance.now() - actedAt;

/**
 * The headers of every request.
 * @param {string} method
 * @param {boolean} byItself whether the page asks without anybody having caused it, however lately they did something
 */
export function headersOf(method, byItself = false) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (!token) return headers;
  const isSafe = method === "GET";
  if (!isSafe) headers["Lobar-CSRF"] = token;
  if (!byItself && performance.now() - actedAt < RECENT) headers["Lobar-Activity"] = "person";
  if ((!isSafe && !byItself) || headers["Lobar-Activity"]) saidAt = performance.now();
  return headers;
}

/**
 * @typedef {object} Options
 * @property {unknown} [body] sent as JSON
 * @property {Record<string, string>} [headers] more of them
 * @property {AbortSignal} [signal] gives it up
 * @property {boolean} [byItself] see `headersOf`
 * @property {boolean} [keepalive] whether it outlives the page
 */

/**
 * Sends a request that may do without a session. Throws a Problem for every answer that is not well.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 */
export async function send(method, path, { body, headers, signal, byItself, keepalive } = {}) {
  /** @type {Record<string, string>} */
  const json = body === undefined ? {} : { "content-type": "application/json" };
  let response;
  try {
    response = await fetch(path, {
      method, cache: "no-store", signal, keepalive,
      headers: { ...headersOf(method, byItself), ...json, ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem(0, null);
  }
  if (response.ok) return response;
  let said = null;
  try { said = await response.json(); } catch { /* not a problem document */ }
  const wait = Number(response.headers.get("retry-after"));
  throw new Problem(response.status, said ?? { title: `The server answered ${response.status}.` }, wait > 0 ? wait : null);
}

/** Pending while the session is over: nothing is asked then. @type {Promise<void> | null} */
let pause = null;
/** @type {() => void} */
let resume = () => {};

/** What session.js does about it. @type {{ over: () => void, renew: () => Promise<void>, doubt: () => void }} */
let hooks = { over: () => {}, renew: async () => {}, doubt: () => {} };

/** @param {typeof hooks} given */
export function setHooks(given) {
  hooks = given;
}

/** The session with this token is the page's now; what waits for one goes on. @param {string | null} newToken */
export function goOn(newToken) {
  token = newToken;
  pause = null;
  resume();
}

/** The session is over. Nothing is asked until `goOn`. @param {string | null} [sentWith] the token of the request that was refused */
export function sessionIsOver(sentWith = token) {
  // A late answer to what was sent with the session before says nothing of this one.
  if (pause || sentWith !== token) return;
  pause = new Promise((resolve) => { resume = resolve; });
  hooks.over();
}

/** Whether the session is over, and nobody has signed in again yet. */
export const isPaused = () => pause !== null;

/** Resolves when there is a session. */
export const signedIn = () => pause ?? Promise.resolve();

/**
 * Sends a request in the page's session. Where that is over it waits for another one of the same person, and asks again:
 * nothing that somebody gave is lost.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 */
export async function ask(method, path, options = {}) {
  let renewed = false;
  for (;;) {
    await signedIn();
    options.signal?.throwIfAborted();
    const sentWith = token;
    try {
      return await send(method, path, options);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.kind === "not-signed-in") {
        sessionIsOver(sentWith);
      } else if (error.kind === "wrong-csrf-token" && !renewed) {
        // Another tab of this browser has signed in anew.
        renewed = true;
        await hooks.renew();
      } else {
        if (error.kind === "not-allowed") hooks.doubt();
        throw error;
      }
    }
  }
}

/** The same, for an answer in JSON. @param {string} method @param {string} path @param {Options} [options] */
export async function askJson(method, path, options) {
  return (await ask(method, path, options)).json();
}
