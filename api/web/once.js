// A secret that is shown this once.

import { el } from "./elements.js";
import { showDialog } from "./forms.js";

/** Pending while one is shown. @type {Promise<void>} */
let shown = Promise.resolve();

/** Resolves when no secret is shown any more. */
export const onceClosed = () => shown;

/**
 * Shows a secret until its reader closes it; it is not kept.
 * @param {string} title
 * @param {string} words what it is for
 * @param {string} secret
 * @param {(Node | null)[]} more below it
 */
export function showOnce(title, words, secret, ...more) {
  const dialog = showDialog(title, el("p", {}, words), ...secretLine(title, secret), ...more.filter((part) => part !== null));
  shown = new Promise((resolve) => { dialog.addEventListener("close", () => resolve()); });
  return shown;
}

/**
 * A secret that can be copied, with what came of that.
 * @param {string} label
 * @param {string} secret
 */
export function secretLine(label, secret) {
  const field = el("input", { type: "text", class: "secret", readOnly: true, "aria-label": label, spellcheck: "false" });
  field.value = secret;
  const said = el("p", { role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
      said.textContent = "Copied.";
    } catch {
      field.select();
      said.textContent = "It is selected: copy it with your browser.";
    }
  };
  return [el("p", { class: "secret-line" }, field, el("button", { type: "button", class: "primary", "aria-label": `Copy: ${label}`, onclick: copy }, "Copy")), said];
}
