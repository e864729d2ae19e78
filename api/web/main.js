// The page: puts its parts together.

import { onAddress, openImage } from "./address.js";
import { told } from "./api.js";
import { byId } from "./elements.js";
import { EventStream } from "./events.js";
import { setUpFilters } from "./filters.js";
import { setUpUploads } from "./upload.js";
import { Viewer } from "./viewer.js";
import { Worklist } from "./worklist.js";
import { hourMinute } from "./words.js";

const RETRY = 2000;

// File names are personal: they stay in this page's memory, for the one who uploaded them.
/** @type {Map<string, string>} */
const names = new Map();
const worklist = new Worklist();
const viewer = new Viewer(() => worklist.order(), (id) => names.get(id) ?? null);
setUpUploads((id, name) => {
  names.set(id, name);
  worklist.addOwn(id);
});
/** @type {EventStream | null} */
let stream = null;
/** @type {string | null} */
let listAddress = null;
let scrolled = 0;

/** @param {"live" | "reconnecting" | "stale"} state @param {Date} [since] */
function showConnection(state, since) {
  const words = { live: "live", reconnecting: "reconnecting…", stale: `stale since ${since ? hourMinute(since) : "now"}` }[state];
  byId("connection").dataset.state = state;
  byId("connection-words").textContent = words;
  document.body.dataset.connection = state;
  byId("stale").hidden = state !== "stale";
  byId("stale").textContent = state === "stale" ? `No news since ${since ? hourMinute(since) : "a while"}: what you see may be out of date.` : "";
}

/** Loads the list and follows everything after it. Tried until it works; what somebody points at stays where it is. */
async function follow() {
  stream?.close();
  stream = null;
  try {
    const after = await worklist.renew();
    stream = new EventStream(after, {
      image: ({ id }, position) => {
        told(position);
        worklist.touch(id);
        if (viewer.id === id) viewer.refresh();
      },
      reset: () => {
        follow();
        if (viewer.id) viewer.refresh();
      },
      state: showConnection,
    });
  } catch {
    showConnection("reconnecting");
    setTimeout(follow, RETRY);
  }
}

/** Shows what the address says. */
function show() {
  const id = openImage();
  const last = viewer.id;
  if (id !== last && id) {
    if (!last) scrolled = scrollY;
    byId("worklist").hidden = true;
    byId("viewer").hidden = false;
    viewer.show(id);
    scrollTo(0, 0);
  } else if (!id && last) {
    viewer.close();
    byId("viewer").hidden = true;
    byId("worklist").hidden = false;
    document.title = "Lobar";
    scrollTo(0, scrolled);
    const row = document.querySelector(`tr[data-id="${last}"] .open`);
    if (row instanceof HTMLElement) row.focus({ preventScroll: true });
  }
  if (listAddress !== null && listAddress !== location.search) worklist.load().catch(() => {});
  listAddress = location.search;
}

setUpFilters();
onAddress(show);
addEventListener("hashchange", show);
show();
await follow();
