// In which order the list stands: newest first, or what waits for a reader with the most urgent first.

import { onAddress, query, setQuery } from "./address.js";
import { byId } from "./elements.js";
import { session } from "./session.js";

/** @import { ImageItem } from "./types.js" */

/** Whether the list is the worklist. It stands in the address. */
export const isByUrgency = () => query().get("order") === "urgency";

/**
 * What goes before what, as the server ranks it: overdue, flagged or urgent, needs a human, the rest.
 * @param {ImageItem} image
 */
function rank(image) {
  const overdue = image.reading?.overdue_at;
  if (overdue && Date.parse(overdue) < Date.now()) return 0;
  if (isPressing(image)) return 1;
  return isUnassessed(image) ? 2 : 3;
}

/** Flagged or urgent. Who must not know some flags is told of none. @param {ImageItem} image */
const isPressing = (image) => image.priority === "stat" || (!session().opinion_first && Boolean(image.result?.flagged));

/** @param {ImageItem} image */
const isUnassessed = ({ status }) => status === "needs_human" || status === "failed";

/** Whether an image should have a reader soon and has none, as far as this one may know. @param {ImageItem} image */
export const needsReader = (image) => image.reading?.state === "unread" && (isPressing(image) || isUnassessed(image));

/** @param {ImageItem} a @param {ImageItem} b */
function isMoreUrgent(a, b) {
  const [one, other] = [rank(a), rank(b)];
  if (one !== other) return one < other;
  if (a.received_at !== b.received_at) return a.received_at < b.received_at;
  return a.id < b.id;
}

/** Newest first; texts of one form compare as times. @param {ImageItem} a @param {ImageItem} b */
function isNewer(a, b) {
  if (a.received_at !== b.received_at) return a.received_at > b.received_at;
  return a.id > b.id;
}

/** Whether an image comes before another in the list's order. @param {ImageItem} a @param {ImageItem} b */
export const precedes = (a, b) => (isByUrgency() ? isMoreUrgent(a, b) : isNewer(a, b));

/**
 * Whether an image that is not shown belongs above the end of what is: newer than all, or more urgent than the last.
 * @param {ImageItem} image
 * @param {ImageItem[]} shown in their order
 */
export function isAmong(image, shown) {
  const edge = isByUrgency() ? shown.at(-1) : shown[0];
  return !edge || precedes(image, edge);
}

/** Draws the choice and keeps it true. */
export function setUpOrder() {
  const choice = byId("order", HTMLSelectElement);
  const draw = () => { choice.value = isByUrgency() ? "urgency" : ""; };
  draw();
  onAddress(draw);
  choice.addEventListener("change", () => setQuery({ order: choice.value }));
}
