// Which images the list shows.

import { onAddress, query, setQuery } from "./address.js";
import { byId, el } from "./elements.js";
import { session, sitesOf } from "./session.js";

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

/** The views that there are: by flag none, where some images are read before their result is shown. */
const offered = () => VIEWS.filter(({ flagged }) => !flagged || !session().opinion_first);

const view = () => offered().find(({ name }) => name === (query().get("show") ?? "")) ?? ALL;

/** The filter in the server's words. */
export function filter() {
  const { status, flagged } = view();
  const site = query().get("site");
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries({ status, flagged, site })) if (value) words.set(name, value);
  return words;
}

/**
 * Whether the server could not read what is stored of an image. It lists it by what is stored, not by what it tells.
 * @param {ImageItem} image
 */
const isUnreadable = (image) => image.reason === "result_unreadable" || image.reason === "record_unreadable";

/** Whether an image belongs to what is shown. @param {ImageItem} image */
export function matches(image) {
  const { status, flagged } = view();
  const site = query().get("site");
  if (isUnreadable(image)) return !site || image.site === site;
  return (!status || status.split(",").includes(image.status))
    && (!flagged || String(image.result?.flagged) === flagged)
    && (!site || image.site === site);
}

/** Whether the filter leaves anything out. */
export const isNarrow = () => view().name !== "" || Boolean(query().get("site"));

function draw() {
  const current = view();
  byId("views").replaceChildren(...offered().map(({ name, words }) => {
    const address = query();
    if (name) address.set("show", name);
    else address.delete("show");
    const follow = (/** @type {Event} */ event) => {
      event.preventDefault();
      setQuery("show", name);
    };
    return el("a", { href: `?${address}`, "aria-current": name === current.name ? "true" : null, onclick: follow }, words);
  }));
  const site = byId("site", HTMLInputElement);
  if (document.activeElement !== site) site.value = query().get("site") ?? "";
}

/** Takes the site that was typed. @param {Event} event */
function change(event) {
  event.preventDefault();
  const site = byId("site", HTMLInputElement).value.trim();
  if (site !== (query().get("site") ?? "")) setQuery("site", site);
}

/** Draws the filters and keeps them true. */
export function setUpFilters() {
  // Who sees one site alone has nothing to choose.
  byId("site-filter").hidden = sitesOf("read_images")?.length === 1;
  draw();
  onAddress(draw);
  byId("site-filter").addEventListener("submit", change);
  byId("site").addEventListener("change", change);
}
