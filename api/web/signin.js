// The form by which a person signs in.

import { byId, el } from "./elements.js";
import { Form, codeField, labelled, passwordField } from "./forms.js";
import { Problem } from "./request.js";
import { signIn } from "./session.js";

/** @import { SessionBody } from "./types.js" */

export class SignInForm {
  /**
   * @param {(body: SessionBody) => void} done
   * @param {{ name?: string, words?: string }} [more] a name that is filled in; a sentence above the fields
   */
  constructor(done, { name = "", words } = {}) {
    this.done = done;
    this.name = el("input", { type: "text", autocomplete: "username", required: true, maxlength: "64", spellcheck: "false", autocapitalize: "none" });
    this.name.value = name;
    this.password = passwordField("current-password");
    this.code = codeField();
    this.codeLine = labelled("One-time code", this.code, "From the app that makes your codes.");
    this.codeLine.hidden = true;
    this.form = new Form("Sign in", [labelled("Name", this.name), labelled("Password", this.password), this.codeLine],
      () => this.send(), { wrong: "The name, the password or the code is wrong.", failed: (error) => this.failed(error) });
    this.element = el("section", { class: "card door", "aria-labelledby": "door-title" },
      el("h1", { id: "door-title" }, "Sign in"), words ? el("p", { class: "muted" }, words) : null, this.form.element);
  }

  focus() {
    (this.name.value ? this.password : this.name).focus();
  }

  async send() {
    const code = this.code.value.trim();
    const who = { name: this.name.value.trim(), password: this.password.value, ...(code && { code }) };
    this.done(await signIn(who));
  }

  /** @param {unknown} error */
  failed(error) {
    if (!(error instanceof Problem)) return false;
    if (error.kind === "code-needed") {
      this.codeLine.hidden = false;
      this.code.required = true;
      this.code.focus();
      this.form.say("A one-time code is needed too.");
      return true;
    }
    if (error.kind === "wrong-credentials") {
      this.password.value = "";
      this.code.value = "";
      this.password.focus();
    }
    return false;
  }
}

/** Shows a form in the place of the page. @param {{ element: HTMLElement, focus: () => void }} form */
export function showDoor(form) {
  const door = byId("door");
  door.replaceChildren(form.element);
  door.hidden = false;
  form.focus();
}
