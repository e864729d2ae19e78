// The page: lets somebody in, then puts its parts together as far as they may use them.

import { whoElement } from "./account.js";
import { isAudit, isPeople, onAddress, openBatch, openImage } from "./address.js";
import { told } from "./api.js";
import { hideAudit, showAudit } from "./audit.js";
import { hideBatches, showBatches } from "./batches.js";
import { enter, setUpLock } from "./door.js";
import { onDrop } from "./drop.js";
import { byId } from "./elements.js";
import { EventStream } from "./events.js";
import { forgetExposures } from "./exposure.js";
import { setUpFilters } from "./filters.js";
import { setUpLook } from "./look.js";
import { hidePeople, showPeople } from "./people.js";
import { Notifier } from "./notify.js";
import { setUpOptions } from "./options.js";
import { Claims } from "./reading.js";
import { may, onLeave, session } from "./session.js";
import { setUpUploads } from "./upload.js";
import { Viewer } from "./viewer.js";
import { Worklist } from "./worklist.js";
import { hourMinute } from "./words.js";

const RETRY = 2000;

// The list's rows come later than the browser would scroll.
history.scrollRestoration = "manual";

setUpLock();
await enter();

const mayRead = may("read_images");
const mayUpload = may("upload");
// File names are personal: they stay in this page's memory, for the one who uploaded them.
/** @type {Map<string, string>} */
const names = new Map();
const worklist = new Worklist();
const viewer = new Viewer(worklist, (id) => names.get(id) ?? null, (id) => worklist.renewRow(id));
const uploads = mayUpload ? setUpUploads((id, name) => {
  if (!mayRead) return;
  names.set(id, name);
  worklist.addOwn(id);
}) : null;
if (!uploads) onDrop(null);
const claims = mayRead ? new Claims() : null;
const notifier = new Notifier();
/** @type {EventStream | null} */
let stream = null;
/** @type {string | null} */
let listAddress = null;
let scrolled = 0;

onLeave(() => {
  claims?.close();
  notifier.close();
  stream?.close();
  names.clear();
  viewer.close();
  hideBatches();
  worklist.forget();
  forgetExposures();
});

/** @param {import("./events.js").State} state @param {Date} [since] */
function showConnection(state, since) {
  const at = since ? hourMinute(since) : null;
  const words = {
    live: "live", reconnecting: "reconnecting…", stale: `stale since ${at ?? "now"}`, paused: `paused since ${at ?? "now"}`,
    full: "not live: too many pages are open",
  }[state];
  const isOld = state === "stale" || state === "full" || state === "paused";
  const more = {
    full: " As many pages are open as one may follow: close some.", paused: " You have paused the list: press “Pause” beside it to go on.",
  };
  byId("connection").dataset.state = isOld ? "stale" : state;
  byId("connection-words").textContent = words;
  document.body.dataset.connection = isOld ? "stale" : state;
  byId("stale").hidden = !isOld;
  byId("stale").textContent = isOld ? `No news since ${at ?? "a while"}: what you see may be out of date.${state === "full" || state === "paused" ? more[state] : ""}` : "";
}

/** Loads the list and follows everything after it. Tried until it works; what somebody points at stays where it is. */
async function follow() {
  stream?.close();
  stream = null;
  try {
    const after = await worklist.renew();
    const following = new EventStream(after, {
      image: ({ id }, position) => {
        told(position);
        worklist.touch(id);
        notifier.noticed(id);
        if (viewer.id === id) viewer.refresh();
      },
      reset: () => {
        follow();
        if (viewer.id) viewer.refresh();
      },
      state: showConnection,
    });
    stream = following;
    if (isPaused()) following.pause();
  } catch {
    showConnection("reconnecting");
    setTimeout(follow, RETRY);
  }
}

/** Whether its user wants no news. */
const isPaused = () => byId("pause").ariaPressed === "true";

/** Has the list stand still, or go on with everything that has come meanwhile. */
function togglePause() {
  byId("pause").ariaPressed = String(!isPaused());
  if (isPaused()) stream?.pause();
  else stream?.goOn();
}

/** What somebody sees who sees no images, in words. */
function nothingWords() {
  if (may("read_audit") && !may("manage_people")) return "Your roles show no images. The record of who saw and did what is under “Audit” above.";
  if (may("manage_people")) return "Your roles show no images. People, tokens and sites are under “People” above.";
  if (mayUpload) return "You may add X-rays; your roles show no images and no results.";
  return session().grants.length
    ? "Your roles show no images. What they are for is done with the command “lobar” and the API."
    : "No role was granted to you yet. Ask an admin.";
}

/** Shows what its user may use, and nothing else. */
function setUpPage() {
  byId("who").replaceChildren(whoElement(() => uploads?.isBusy() ?? false));
  for (const id of ["list", "connection", "skip", "foot-uploads"]) byId(id).hidden = !mayRead;
  byId("nothing").hidden = mayRead;
  byId("nothing").textContent = mayRead ? "" : nothingWords();
}

/** The one of the page's views that the address says. @param {"worklist" | "viewer" | "people" | "audit" | "batches"} view */
function showView(view) {
  for (const id of ["worklist", "viewer", "people", "audit", "batches"]) byId(id).hidden = id !== view;
}

/** Shows what the address says. */
function show() {
  const id = mayRead ? openImage() : null;
  const last = viewer.id;
  const people = isPeople() && may("manage_people");
  const audit = isAudit() && may("read_audit");
  const batch = mayRead ? openBatch() : undefined;
  const wasBatches = !byId("batches").hidden;
  const wasAudit = !byId("audit").hidden;
  const wasPeople = !byId("people").hidden;
  if (wasPeople && !people) hidePeople();
  if (wasAudit && !audit) hideAudit();
  if (wasBatches && batch === undefined) hideBatches();
  if (!last && !byId("worklist").hidden) scrolled = scrollY;
  if (id) {
    showView("viewer");
    if (id === last) return;
    viewer.show(id);
    claims?.open(id);
    scrollTo(0, 0);
  } else {
    if (last) viewer.close();
    if (last) claims?.close();
    showView(people ? "people" : audit ? "audit" : batch === undefined ? "worklist" : "batches");
    if (people) {
      if (!wasPeople) showPeople();
    } else if (audit) {
      if (!wasAudit) showAudit();
    } else if (batch !== undefined) {
      showBatches(batch);
    } else if (last || wasPeople || wasAudit || wasBatches) {
      document.title = "Lobar";
      scrollTo(0, scrolled);
      worklist.reveal(last);
    }
  }
  if (mayRead && listAddress !== null && listAddress !== location.search) worklist.load().catch(() => {});
  listAddress = location.search;
}

setUpPage();
setUpLook(() => worklist.resized());
if (mayRead) setUpOptions(notifier, () => worklist.resized());
setUpFilters();
onAddress(show);
addEventListener("hashchange", show);
show();
byId("pause").addEventListener("click", togglePause);
if (mayRead) await follow();
