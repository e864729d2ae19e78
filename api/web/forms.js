// Forms: labelled fields, one button, and what went wrong in one place that is read out.

import { el } from "./elements.js";
import { Problem, wordsOf } from "./request.js";

/** @typedef {HTMLInputElement | HTMLSelectElement} Field */

let fields = 0;

/**
 * A field with its label, and a hint that is read out with it.
 * @param {string} words
 * @param {Field} input
 * @param {string} [hint]
 */
export function labelled(words, input, hint) {
  fields += 1;
  input.id ||= `field-${fields}`;
  const more = hint ? el("small", { id: `${input.id}-hint` }, hint) : null;
  if (more) input.setAttribute("aria-describedby", more.id);
  return el("p", { class: "field" }, el("label", { for: input.id }, words), input, more);
}

/** A field for a password. @param {"current-password" | "new-password"} kind */
export const passwordField = (kind) => el("input", { type: "password", autocomplete: kind, required: true });

/** A field for a one-time code. */
export const codeField = () => el("input", { type: "text", inputmode: "numeric", autocomplete: "one-time-code", maxlength: "12", spellcheck: "false" });

export const NEW_PASSWORD = "At least 12 characters; a few words do well.";

/** Two fields for a new password. */
export class NewPassword {
  constructor() {
    this.first = passwordField("new-password");
    this.second = passwordField("new-password");
    this.elements = [labelled("New password", this.first, NEW_PASSWORD), labelled("The same again", this.second)];
  }

  /** What was typed, twice alike. */
  value() {
    if (this.first.value !== this.second.value) throw new Error("The two passwords are not the same.");
    return this.first.value;
  }
}

export class Form {
  /**
   * @param {string} words of its button
   * @param {Node[]} parts
   * @param {() => Promise<unknown>} does when it is sent; what it throws is said
   * @param {{ wrong?: string, failed?: (error: unknown) => boolean }} [more] words for wrong credentials; and who is told of an error first, and may have dealt with it
   */
  constructor(words, parts, does, { wrong, failed } = {}) {
    this.does = does;
    this.wrong = wrong ?? "The password is wrong.";
    this.failed = failed;
    this.said = el("p", { class: "form-fault", role: "alert" });
    this.button = el("button", { type: "submit", class: "primary" }, words);
    this.buttons = el("p", { class: "form-buttons" }, this.button);
    this.element = el("form", { class: "form", method: "post", onsubmit: (/** @type {Event} */ event) => this.send(event) }, ...parts, this.said, this.buttons);
    this.busy = false;
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  /** @param {Event} event */
  async send(event) {
    event.preventDefault();
    if (this.busy) return;
    this.busy = true;
    this.say("");
    try {
      await this.does();
    } catch (error) {
      if (!this.failed?.(error)) this.fault(error);
    } finally {
      this.busy = false;
    }
  }

  /** @param {string} words */
  say(words) {
    clearTimeout(this.timer);
    this.said.textContent = words;
  }

  /** Says what went wrong. @param {unknown} error */
  fault(error) {
    if (!(error instanceof Problem)) return this.say(wordsOf(error));
    if (error.kind === "wrong-credentials") return this.say(this.wrong);
    if (error.status !== 429) return this.say(wordsOf(error));
    const wait = error.wait ?? 1;
    this.say(`${error.kind === "too-many-tries" ? "There were too many failures." : "There are too many requests."} Try again in ${wait} s.`);
    this.timer = setTimeout(() => this.say("You can try again now."), wait * 1000);
    return undefined;
  }
}

/**
 * A dialog over the page that is gone when it is closed.
 * @param {string} title
 * @param {Node[]} parts
 */
export function showDialog(title, ...parts) {
  fields += 1;
  const head = el("h2", { id: `dialog-${fields}`, tabindex: "-1" }, title);
  const dialog = el("dialog", { class: "card dialog", "aria-labelledby": head.id });
  const close = el("button", { type: "button", class: "dialog-close", onclick: () => dialog.close() }, "Close");
  dialog.append(el("div", { class: "dialog-head" }, head, close), ...parts);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  head.focus();
  return dialog;
}
