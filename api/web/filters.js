// Which images the list shows.

import { onAddress, query, setQuery } from "./address.js";
import { byId, el } from "./elements.js";
import { isByUrgency, setUpOrder } from "./order.js";
import { session, sitesOf } from "./session.js";
import { shortId } from "./words.js";

/** @import { ImageItem } from "./types.js" */

/** @typedef {{ name: string, words: string, status?: string, flagged?: string }} View */

/** @type {View} */
const ALL = { name: "", words: "All" };

/** @type {View[]} */
const VIEWS = [
  ALL,
  { name: "flagged", words: "Suspected pneumonia", status: "ready", flagged: "true" },
  { name: "human", words: "Needs a human", status: "needs_human,failed" },
  { name: "waiting", words: "Queued or analysing", status: "queued,analysing" },
  { name: "clear", words: "Not flagged", status: "ready", flagged: "false" },
  { name: "gone", words: "Replaced or removed", status: "superseded,removed" },
];

/** The fields, and the word of the address that each one is. */
const FIELDS = { search: "patient", site: "site" };

/** The views that there are: by flag none, where some images are read before their result is shown. */
const offered = () => VIEWS.filter(({ flagged }) => !flagged || !session().opinion_first);

/** @param {URLSearchParams} words */
const view = (words) => offered().find(({ name }) => name === (words.get("show") ?? "")) ?? ALL;

/** The filter in the server's words. */
export function filter() {
  const asked = query();
  const { status, flagged } = view(asked);
  const words = new URLSearchParams();
  const order = isByUrgency() ? "urgency" : null;
  for (const [name, value] of Object.entries({ status, flagged, order, site: asked.get("site"), search: asked.get("patient"), batch: asked.get("batch") })) if (value) words.set(name, value);
  return words;
}

/**
 * Whether the server could not read what is stored of an image. It lists it by what is stored, not by what it tells.
 * @param {ImageItem} image
 */
const isUnreadable = (image) => image.reason === "result_unreadable" || image.reason === "record_unreadable";

/**
 * Tells of images whether they belong to what is shown now, by state, flag and site. Whether a search finds one is for the
 * server to say: it knows of merged patients, and of names as they are written elsewhere.
 * @returns {(image: ImageItem) => boolean}
 */
export function matcher() {
  const asked = query();
  const { status, flagged } = view(asked);
  const states = status?.split(",");
  const site = asked.get("site");
  const waits = isByUrgency();
  return (image) => {
    // It does not wait for who has given their verdict.
    if (waits && (!image.reading?.waiting_since || image.reading.readers?.mine)) return false;
    if (isUnreadable(image)) return !site || image.site === site;
    return (!states || states.includes(image.status))
      && (!flagged || String(image.result?.flagged) === flagged)
      && (!site || image.site === site);
  };
}

/** Whether the server alone can tell what belongs to what is shown. */
export const isSearch = () => Boolean(query().get("patient") || query().get("batch"));

/** Whether the filter leaves anything out. */
export const isNarrow = () => view(query()).name !== "" || isByUrgency() || query().has("batch") || Object.values(FIELDS).some((word) => query().get(word));

function draw() {
  const asked = query();
  const current = view(asked);
  byId("views").replaceChildren(...offered().map(({ name, words }) => {
    const address = query();
    if (name) address.set("show", name);
    else address.delete("show");
    const follow = (/** @type {Event} */ event) => {
      event.preventDefault();
      setQuery({ show: name });
    };
    return el("a", { href: `?${address}`, "aria-current": name === current.name ? "true" : null, onclick: follow }, words);
  }));
  drawBatch(asked.get("batch"));
  for (const [id, word] of Object.entries(FIELDS)) {
    const field = byId(id, HTMLInputElement);
    if (document.activeElement !== field) field.value = asked.get(word) ?? "";
  }
}

/** @param {Event} event */
function showAllUploads(event) {
  event.preventDefault();
  setQuery({ batch: "" });
}

/** Says that the images of one upload alone are shown, and leads back to all. @param {string | null} id */
function drawBatch(id) {
  const link = byId("only-batch", HTMLAnchorElement);
  const all = query();
  all.delete("batch");
  link.href = `?${all}`;
  link.textContent = id ? `Upload ${shortId(id)} only ×` : "";
  link.hidden = !id;
}

/** Takes what was typed. @param {Event} event */
function change(event) {
  event.preventDefault();
  const asked = query();
  const typed = Object.entries(FIELDS).map(([id, word]) => [word, byId(id, HTMLInputElement).value.trim()]);
  const changed = typed.filter(([word, value]) => value !== (asked.get(word ?? "") ?? ""));
  if (changed.length > 0) setQuery(Object.fromEntries(changed));
}

/** Draws the filters and keeps them true. */
export function setUpFilters() {
  // Who sees one site alone has nothing to choose.
  byId("site-filter").hidden = sitesOf("read_images")?.length === 1;
  setUpOrder();
  draw();
  onAddress(draw);
  byId("only-batch").addEventListener("click", showAllUploads);
  byId("filters").addEventListener("submit", change);
  for (const id of Object.keys(FIELDS)) byId(id).addEventListener("change", change);
}
