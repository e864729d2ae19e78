// Which images the list shows.

import { onAddress, query, setQuery } from "./address.js";
import { byId, el } from "./elements.js";

const VIEWS = [
  { name: "", words: "All" },
  { name: "flagged", words: "Suspected pneumonia", status: "ready", flagged: "true" },
  { name: "human", words: "Needs a human", status: "needs_human,failed" },
  { name: "waiting", words: "Queued or analysing", status: "queued,analysing" },
  { name: "clear", words: "Not flagged", status: "ready", flagged: "false" },
  { name: "gone", words: "Replaced or removed", status: "superseded,removed" },
];

const view = () => VIEWS.find(({ name }) => name === (query().get("show") ?? "")) ?? VIEWS[0];

/** The filter in the server's words. */
export function filter() {
  const { status, flagged } = view();
  const site = query().get("site");
  return new URLSearchParams(Object.entries({ status, flagged, site }).filter(([, value]) => value));
}

/** Whether the server could not read what is stored of an image. It lists it by what is stored, not by what it tells. */
const isUnreadable = (image) => ["result_unreadable", "record_unreadable"].includes(image.reason);

/** Whether an image belongs to what is shown. */
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
  byId("views").replaceChildren(...VIEWS.map(({ name, words }) => {
    const words_ = query();
    if (name) words_.set("show", name);
    else words_.delete("show");
    const follow = (event) => {
      event.preventDefault();
      setQuery("show", name);
    };
    return el("a", { href: `?${words_}`, "aria-current": name === current.name ? "true" : null, onclick: follow }, words);
  }));
  if (document.activeElement !== byId("site")) byId("site").value = query().get("site") ?? "";
}

/** Draws the filters and keeps them true. */
export function setUpFilters() {
  draw();
  onAddress(draw);
  const change = (event) => {
    event.preventDefault();
    const site = byId("site").value.trim();
    if (site !== (query().get("site") ?? "")) setQuery("site", site);
  };
  byId("site-filter").addEventListener("submit", change);
  byId("site").addEventListener("change", change);
}
