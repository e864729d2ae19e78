// Which columns the list has, in which order, and how wide: as its reader chose in this browser, and as there is room.

import { COLUMNS } from "./columns.js";

/** @import { Column } from "./columns.js" */

/** Where it is kept: the names of the columns, in their order. */
const KEPT = "lobar.columns";
/** What every list has: whom it shows, and what was found. */
const ALWAYS = ["assessment", "patient"];
/** Which are left out first where there is no room. */
const LEAVING = ["model", "view", "accession", "rank", "received", "thumbnail", "study", "score", "site", "waiting", "read"];
/** The least that the patient has in a row, in rem. */
const PATIENT = 12.5;

/** @returns {string[]} */
const atFirst = () => COLUMNS.filter(({ extra }) => !extra).map(({ name }) => name);

/** Whether columns of these names make a list. @param {unknown} names @returns {names is string[]} */
function isList(names) {
  return Array.isArray(names) && new Set(names).size === names.length && ALWAYS.every((name) => names.includes(name))
    && names.every((name) => COLUMNS.some((column) => column.name === name));
}

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    if (isList(kept)) return kept;
  } catch { /* The columns are as they were at first. */ }
  return atFirst();
}

let chosen = read();

/** The names of the columns that the list should have, in their order. */
export const chosenColumns = () => [...chosen];

/** Whether a column may be taken out. @param {string} name */
export const mayGo = (name) => !ALWAYS.includes(name);

/** Has other columns from now on; null for those of the beginning. @param {string[] | null} names */
export function choose(names) {
  const wanted = names ?? atFirst();
  if (!isList(wanted)) return;
  chosen = wanted;
  try {
    if (wanted.join() === atFirst().join()) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, JSON.stringify(wanted));
  } catch { /* For this page only. */ }
}

/** How wide the assessment is in a list of a width, in rem. @param {number} room */
const assessmentIn = (room) => (room < 34 ? room / 2 : room < 43 ? 12 : room < 69 ? 17 : 20);

/**
 * The chosen columns for which there is room, each with its width for the style sheet. What is in them does not matter.
 * @param {number} pixels the width of the list
 * @returns {{ column: Column, width: string }[]}
 */
export function fitting(pixels) {
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 14;
  const room = pixels / rem;
  const assessment = assessmentIn(room);
  const columns = chosen.map((name) => /** @type {Column} */ (COLUMNS.find((column) => column.name === name)));
  const widthOf = (/** @type {Column} */ { name, width }) => (name === "assessment" ? assessment : width);
  const left = LEAVING.filter((name) => chosen.includes(name));
  let shown = columns;
  const needed = () => shown.reduce((sum, column) => sum + (widthOf(column) ?? PATIENT), 0);
  while (left.length > 0 && needed() > room) {
    const gone = left.shift();
    shown = shown.filter(({ name }) => name !== gone);
  }
  return shown.map((column) => {
    const width = widthOf(column);
    return { column, width: width === null ? "" : `${width}rem` };
  });
}
