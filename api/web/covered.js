// What lies over the page, so that nothing of it is in front of anybody: keys and files are not for it then.

const page = document.documentElement.dataset;

/** Nothing of the page can be seen until it is unlocked, whatever becomes of the dialog over it. @param {boolean} locked */
export function setLocked(locked) {
  if (locked) page.locked = "";
  else delete page.locked;
}

/** Whether it is locked. */
export const isLocked = () => "locked" in page;

/** Whether anything lies over the page: a browser that closes a dialog by itself tells of it later. */
export const isCovered = () => isLocked() || document.querySelector("dialog[open]") !== null;
