// Who is signed in, what they may, and what happens when that ends.

import { Problem, ask, goOn, send, sessionIsOver, setHooks, sinceSaid } from "./request.js";

/** @import { SessionBody } from "./types.js" */

/** How often the page looks by itself whether the session is still open, in ms. It counts as no use. */
const LOOK = 30_000;
/** The server is told this often that somebody is at work who asks for nothing, in ms. */
const TELL = 60_000;

/** @type {SessionBody | null} */
let current = null;
/** @type {(() => void)[]} */
const forgetting = [];
let isLeaving = false;
// Other pages of this browser share the cookie: they hear whose session it is now; null for nobody's.
const pages = new BroadcastChannel("lobar-session");

/** Tells the other pages whose session it is now. @param {string | null} id */
export function tell(id) {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel is of one origin
  pages.postMessage(id);
}

/** The session that the page works in. */
export function session() {
  if (!current) throw new Error("Nobody is signed in.");
  return current;
}

/** The sites at which a right is held: null for all of them, undefined for none. @param {string} right */
export const sitesOf = (right) => current?.rights[right];

/** Whether a right is held anywhere, or at this site; null is an unknown one. @param {string} right @param {string | null} [site] */
export function may(right, site) {
  const sites = sitesOf(right);
  if (!sites) return sites === null;
  return site === undefined || (site !== null && sites.includes(site));
}

/** Is called when everything personal must go from the page's memory. @param {() => void} forget */
export function onLeave(forget) {
  forgetting.push(forget);
}

/**
 * Goes to a fresh page. What somebody saw here is gone before the next one comes, also from what Back would show.
 * @param {string} [address] where to, when it is not the own page: where a provider signs out whom it signed in
 */
export function leave(address = "/") {
  if (isLeaving) return;
  isLeaving = true;
  current = null;
  for (const forget of forgetting) forget();
  document.body.replaceChildren();
  document.title = "Lobar";
  location.replace(address);
}

/** Takes a session that was opened, for good: the page's own, or that of whoever goes on in it. @param {SessionBody} body */
export function take(body) {
  if (current && current.id !== body.id) return leave();
  current = body;
  return goOn(body.csrf_token);
}

/** Finds out who is signed in; null for nobody. */
export async function find() {
  try {
    /** @type {SessionBody} */
    const body = await (await send("GET", "/v1/session")).json();
    return body;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
}

/**
 * Signs in.
 * @param {{ name: string, password: string, code?: string }} who
 * @returns {Promise<SessionBody>}
 */
export async function signIn(who) {
  const body = await (await send("POST", "/v1/session", { body: who })).json();
  tell(body.id);
  return body;
}

/** Signs out, here or everywhere; the page is left then. @param {"/v1/session" | "/v1/sessions"} path */
export async function signOut(path) {
  /** @type {Response | undefined} */
  let answer;
  try {
    answer = await send("DELETE", path);
  } catch (error) {
    const kind = error instanceof Problem ? error.kind : "";
    // Another tab of this browser has signed in anew.
    if (kind === "wrong-csrf-token") answer = await renew().then(() => send("DELETE", path));
    // A session that was over already is what was asked for.
    else if (kind !== "not-signed-in") throw error;
  }
  tell(null);
  /** @type {{ sign_out_at?: string }} */
  const { sign_out_at: elsewhere } = answer?.status === 200 ? await answer.json() : {};
  leave(elsewhere);
}

/** Looks whether the session, and what it allows, is what the page thinks. @param {boolean} byItself */
async function look(byItself) {
  /** @type {SessionBody} */
  const body = await (await ask("GET", "/v1/session", { byItself })).json();
  if (!current) return;
  const isSame = body.id === current.id && String(body.grants) === String(current.grants) && body.opinion_first === current.opinion_first;
  const isBusy = document.querySelector("dialog[open]");
  // An answer about the session that the page has, however late it comes, says nothing new.
  if (isSame && body.csrf_token === current.csrf_token) return;
  if (isSame) take(body);
  else if (body.id !== current.id) leave();
  else if (!isBusy) location.reload();
}

const lookSilently = () => { look(true).catch(() => {}); };

/** Keeps watch over the session. @param {() => void} over is called when it has ended, until somebody signs in */
export function watch(over) {
  setHooks({ over, renew: () => renew(), doubt: lookSilently });
  setInterval(lookSilently, LOOK);
  for (const name of ["pointerdown", "keydown"]) {
    addEventListener(name, ({ isTrusted }) => {
      const idle = current?.idle_seconds;
      if (isTrusted && idle && sinceSaid() > Math.min(TELL, idle * 250)) look(false).catch(() => {});
    }, { capture: true, passive: true });
  }
  pages.addEventListener("message", ({ data }) => {
    if (!current || current.kind === "local") return;
    if (data === null) sessionIsOver();
    else renew().catch(() => {});
  });
  // What a browser kept of this page, it shows again without asking anybody.
  addEventListener("pageshow", ({ persisted }) => { if (persisted) leave(); });
}

/** Takes the session of this browser's cookie, whoever opened it. */
async function renew() {
  const body = await find();
  if (body) take(body);
  else sessionIsOver();
}
