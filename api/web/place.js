// Where somebody is in the list. It is kept with the entry of the browser's history, so that a reload, or going back,
// leads there again. Numbers and opaque ids only.

/**
 * A place in the list.
 * @typedef {object} Place
 * @property {string} query the filter that it is a place in
 * @property {number} loaded how many rows there were
 * @property {string | null} id the first image in sight; null at the top
 * @property {number} offset how far its row is from the upper edge of the window, in pixels
 */

/** Browsers refuse to be told more than about a hundred times in half a minute. */
const REST = 400;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** The place that this entry of the history has, under the filter that is set. @returns {Place | null} */
export function keptPlace() {
  const { query, loaded, id, offset } = history.state?.list ?? {};
  if (query !== location.search || !Number.isSafeInteger(loaded)) return null;
  return { query, loaded, id: typeof id === "string" ? id : null, offset: Number(offset) || 0 };
}

/** Keeps a place, at once. @param {Omit<Place, "query">} place */
export function keepPlace(place) {
  clearTimeout(timer);
  timer = undefined;
  history.replaceState({ ...history.state, list: { query: location.search, ...place } }, "");
}

/** Keeps the place in a moment. @param {() => Omit<Place, "query"> | null} here null while the list is not in sight */
export function keepPlaceSoon(here) {
  timer ??= setTimeout(() => {
    timer = undefined;
    const place = here();
    if (place) keepPlace(place);
  }, REST);
}
