// A one-time link: whoever has it sets a password by it.

import { el } from "./elements.js";
import { Form, NewPassword, labelled } from "./forms.js";
import { Problem, send } from "./request.js";

/** @import { Linked } from "./types.js" */

export class LinkForm {
  /**
   * @param {string} secret
   * @param {(name: string | null) => void} done is called with the name to sign in with; null where the link is of no use
   */
  constructor(secret, done) {
    this.secret = secret;
    this.done = done;
    this.title = el("h1", { id: "door-title", tabindex: "-1" }, "Set a password");
    /** @type {HTMLElement} */
    this.space = el("div", { class: "form" }, el("p", { role: "status" }, "Looking up the link…"));
    this.element = el("section", { class: "card door", "aria-labelledby": "door-title" }, this.title, this.space);
    this.look();
  }

  focus() {
    this.title.focus();
  }

  async look() {
    try {
      /** @type {Linked} */
      const { name } = await (await send("POST", "/v1/links", { body: { secret: this.secret } })).json();
      this.offer(name);
    } catch (error) {
      this.fault(error);
    }
  }

  /** @param {string} name */
  offer(name) {
    const password = new NewPassword();
    // A password manager keeps the password under this name.
    const own = el("input", { type: "text", autocomplete: "username", readOnly: true });
    own.value = name;
    const form = new Form("Set the password", [labelled("Name", own), ...password.elements], async () => {
      await send("POST", "/v1/links/redeem", { body: { secret: this.secret, password: password.value() } });
      this.done(name);
    }, { failed: (error) => error instanceof Problem && error.status === 404 && this.fault(error) });
    this.space.replaceWith(form.element);
    this.space = form.element;
    password.first.focus();
  }

  /** @param {unknown} error */
  fault(error) {
    const gone = error instanceof Problem && error.status === 404;
    const words = gone ? "The link was used, replaced, or has expired. Ask whoever gave it to you for another one." : String(error instanceof Error ? error.message : error);
    const space = el("div", { class: "form" }, el("p", { class: "form-fault", role: "alert" }, words),
      el("p", { class: "form-buttons" },
        gone ? null : el("button", { type: "button", class: "primary", onclick: () => this.look() }, "Try again"),
        el("button", { type: "button", onclick: () => this.done(null) }, "To the sign-in")));
    this.space.replaceWith(space);
    this.space = space;
    return true;
  }
}
