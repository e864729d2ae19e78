// What stands before the page: nothing of it is loaded until somebody is signed in, and while their session is over
// nothing of it can be read or pressed.

import { takeLink, takeRefusal } from "./address.js";
import { isLocked, setLocked } from "./covered.js";
import { byId } from "./elements.js";
import { LinkForm } from "./link.js";
import { onceClosed } from "./once.js";
import { sessionIsOver, signedIn, wordsOf } from "./request.js";
import { find, leave, onLeave, session, take, tell, watch } from "./session.js";
import { SignInForm, showDoor } from "./signin.js";

/** @import { SessionBody } from "./types.js" */

const RETRY = 2000;

/** What becomes of a link that is opened in this page; not known yet at first. @type {((secret: string) => void) | null} */
let useLink = null;

function lookForLink() {
  const secret = useLink && takeLink();
  if (secret) useLink?.(secret);
}

/** Resolves when somebody is signed in. */
export async function enter() {
  addEventListener("hashchange", lookForLink);
  const secret = takeLink();
  const known = secret === null ? await findPatiently() : null;
  // It may have been opened in this page, by a provider that sent the browser back.
  if (known) tell(known.id);
  take(known ?? await new Promise((done) => { standBefore(secret, done); }));
  byId("door").hidden = true;
  byId("door").replaceChildren();
  watch(lock);
  useLink = (later) => showOver(new LinkForm(later, afterLink));
  lookForLink();
}

/** Shows the sign-in, or what a link leads to. @param {string | null} secret @param {(body: SessionBody) => void} done */
function standBefore(secret, done) {
  const refusal = takeRefusal();
  const signIn = (/** @type {string} */ name) => showDoor(new SignInForm(done, { name, refusal }));
  // Whoever is signed in already need not do it again.
  useLink = (later) => showDoor(new LinkForm(later, (name) => (name === null ? location.reload() : signIn(name))));
  if (secret === null) signIn("");
  else useLink(secret);
  lookForLink();
}

/** Who is signed in, however long the server takes to come back. @returns {Promise<SessionBody | null>} */
async function findPatiently() {
  const fault = byId("fault");
  for (;;) {
    try {
      const found = await find();
      fault.hidden = true;
      return found;
    } catch (error) {
      fault.textContent = `It is not known who is signed in. ${wordsOf(error)}`;
      fault.hidden = false;
      await new Promise((again) => { setTimeout(again, RETRY); });
    }
  }
}

/** @typedef {{ element: HTMLElement, focus: () => void }} Shown */

/** Somebody opened a link in a page in which they, or somebody else, are signed in. @param {string | null} name */
function afterLink(name) {
  const own = session();
  if (name === null) hide();
  else if (name !== own.name) showOver(new SignInForm(take, { name }));
  else sessionIsOver();
}

/** Shows a form over the page, of which nothing can be seen meanwhile. @param {Shown} form */
function showOver(form) {
  const dialog = byId("lock", HTMLDialogElement);
  dialog.replaceChildren(form.element);
  if (!dialog.open) dialog.showModal();
  // After the dialog has noted where the focus was.
  setLocked(true);
  form.focus();
}

function hide() {
  const dialog = byId("lock", HTMLDialogElement);
  setLocked(false);
  dialog.close();
  dialog.replaceChildren();
}

/** The session is over: whoever had it goes on where they were, once they have signed in again. */
async function lock() {
  const { kind, name } = session();
  if (kind === "local") {
    // Somebody has an account now, so that the local user is gone. A link that is shown this once can still be read.
    await onceClosed();
    return leave();
  }
  const words = `The session of ${name} is over. Sign in to go on where you were: what you gave is kept and sent then. Anybody else gets a fresh page.`;
  showOver(new SignInForm(take, { name, words, isOver: true }));
  await signedIn();
  return hide();
}

/** A dialog can be closed by Escape; not this one. */
export function setUpLock() {
  const dialog = byId("lock", HTMLDialogElement);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  // A browser closes a dialog at the second Escape whatever is said to the first.
  dialog.addEventListener("keydown", (event) => { if (event.key === "Escape" && isLocked()) event.preventDefault(); });
  dialog.addEventListener("close", () => { if (isLocked()) dialog.showModal(); });
  onLeave(() => dialog.replaceChildren());
}
