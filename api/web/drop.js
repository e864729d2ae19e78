// Files that are dropped on the page, wherever they fall.

import { isCovered } from "./covered.js";
import { byId } from "./elements.js";

/** Whether something that is dragged has files. @param {DragEvent} event */
const hasFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files") ?? false;

/** Takes every file that is dropped, and those in dropped folders. @param {((files: File[]) => void) | null} take null where nobody may add any */
export function onDrop(take) {
  const here = byId("drop-here");
  addEventListener("dragover", (event) => {
    // A file that nobody takes would replace the page.
    event.preventDefault();
    const isRefused = !take || document.querySelector("#lock[open]") !== null;
    if (event.dataTransfer && isRefused) event.dataTransfer.dropEffect = "none";
    here.hidden = isRefused || !hasFiles(event) || isCovered();
  });
  addEventListener("dragleave", (event) => {
    // Leaving an element for one in it, or beside it, is not leaving the page.
    if (event.relatedTarget === null) here.hidden = true;
  });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    here.hidden = true;
    if (!take || !hasFiles(event) || document.querySelector("#lock[open]")) return;
    // What was dropped can be read only now; what is in folders takes a while.
    const entries = [...event.dataTransfer?.items ?? []].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
    const files = [...event.dataTransfer?.files ?? []];
    take(entries.length ? (await Promise.all(entries.map(filesOf))).flat() : files);
  });
}

/** Every file in a dropped file or folder. @param {FileSystemEntry} entry @returns {Promise<File[]>} */
async function filesOf(entry) {
  if (entry.isFile) {
    const file = /** @type {FileSystemFileEntry} */ (entry);
    return [await new Promise((resolve, reject) => file.file(resolve, reject))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {File[]} */
  const found = [];
  for (;;) {
    // A reader gives a part at a time, and nothing at the end.
    /** @type {FileSystemEntry[]} */
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) return found;
    found.push(...(await Promise.all(part.map(filesOf))).flat());
  }
}
