// What is shown stands in the address: the filter in the query, the open image after the `#`.

const listeners = [];

/** Calls back whenever the address has changed. */
export function onAddress(listener) {
  listeners.push(listener);
}

const changed = () => listeners.forEach((listener) => listener());
addEventListener("popstate", changed);

/** The id of the open image, or null. */
export function openImage() {
  const match = /^#\/images\/([0-9a-f-]{36})$/i.exec(location.hash);
  return match ? match[1].toLowerCase() : null;
}

/** Opens an image, or the list for null. */
export function open(id) {
  history.pushState(null, "", location.pathname + location.search + (id ? `#/images/${id}` : ""));
  changed();
}

/** The filter's words: `show`, `site`. */
export const query = () => new URLSearchParams(location.search);

/** Changes one word of the filter. */
export function setQuery(name, value) {
  const words = query();
  if (value) words.set(name, value);
  else words.delete(name);
  const text = words.toString();
  history.pushState(null, "", location.pathname + (text ? `?${text}` : ""));
  changed();
}
