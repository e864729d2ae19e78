// What is shown stands in the address: the filter in the query, the open image or page after the `#`.

/** @type {(() => void)[]} */
const listeners = [];

/** Calls back whenever the address has changed. @param {() => void} listener */
export function onAddress(listener) {
  listeners.push(listener);
}

const changed = () => listeners.forEach((listener) => listener());
addEventListener("popstate", changed);

/** The id of the open image, or null. @returns {string | null} */
export function openImage() {
  const match = /^#\/images\/([0-9a-f-]{36})$/i.exec(location.hash);
  return match?.[1]?.toLowerCase() ?? null;
}

/** Whether uploads are asked for: the id of one, or null for all; undefined where they are not. @returns {string | null | undefined} */
export function openBatch() {
  const match = /^#\/batches(?:\/([0-9a-f-]{36}))?$/i.exec(location.hash);
  return match ? match[1]?.toLowerCase() ?? null : undefined;
}

/** Whether the people's page is asked for. */
export const isPeople = () => location.hash === "#/people";

/** Whether the auditors' page is asked for. */
export const isAudit = () => location.hash === "#/audit";

/** The secret of a one-time link, which is taken out of the address at once. @returns {string | null} */
export function takeLink() {
  const secret = /^#\/link\/(.+)$/.exec(location.hash)?.[1] ?? null;
  if (secret) history.replaceState(null, "", "/");
  return secret;
}

/** Why another provider signed nobody in, which is taken out of the address at once. @returns {string | null} */
export function takeRefusal() {
  const why = /^#\/sign-in\/([a-z-]+)$/.exec(location.hash)?.[1] ?? null;
  if (why) history.replaceState(null, "", "/");
  return why;
}

/** Opens an image, or the list for null. The place in the list goes along (place.js). @param {string | null} id */
export function open(id) {
  history.pushState(history.state, "", location.pathname + location.search + (id ? `#/images/${id}` : ""));
  changed();
}

/** The filter's words: `show`, `site`, `patient`, `order`, `batch`. */
export const query = () => new URLSearchParams(location.search);

/** Changes words of the filter; those that are empty go. @param {Record<string, string>} changes */
export function setQuery(changes) {
  const words = query();
  for (const [name, value] of Object.entries(changes)) {
    if (value) words.set(name, value);
    else words.delete(name);
  }
  const text = words.toString();
  history.pushState(null, "", location.pathname + (text ? `?${text}` : ""));
  changed();
}
