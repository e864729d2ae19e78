// The form by which a person signs in.

import { byId, el } from "./elements.js";
import { Form, codeField, labelled, passwordField } from "./forms.js";
import { Problem, send } from "./request.js";
import { signIn } from "./session.js";

/** @import { SessionBody } from "./types.js" */

/** What to say of a sign-in at the provider that brought nobody. @type {Record<string, string>} */
const REFUSALS = {
  away: "The provider cannot be reached now. Try again in a moment, or sign in with a name and a password of Lobar's own.",
  expired: "That took too long, or was begun in another window. Try again.",
  refused: "The provider signed nobody in. Try again; if it goes on, an admin finds the reason in the server's log.",
  "no-role": "The provider knows you, and none of your groups may use Lobar. Ask an admin.",
  name: "Your name at the provider is taken here, or is missing. Ask an admin.",
  disabled: "Your account is disabled. Ask an admin.",
  settings: "Lobar is set up wrongly for your groups. An admin finds the reason in the server's log.",
};

export class SignInForm {
  /**
   * @param {(body: SessionBody) => void} done
   * @param {{ name?: string, words?: string, refusal?: string | null, isOver?: boolean }} [more] a name that is filled in; a
   *   sentence above the fields; why another provider signed nobody in; whether the page that lies under it goes on
   */
  constructor(done, { name = "", words, refusal, isOver = false } = {}) {
    this.done = done;
    this.name = el("input", { type: "text", autocomplete: "username", required: true, maxlength: "64", spellcheck: "false", autocapitalize: "none" });
    this.name.value = name;
    this.password = passwordField("current-password");
    this.code = codeField();
    this.codeLine = labelled("One-time code", this.code, "From the app that makes your codes.");
    this.codeLine.hidden = true;
    this.form = new Form("Sign in", [labelled("Name", this.name), labelled("Password", this.password), this.codeLine],
      () => this.send(), { wrong: "The name, the password or the code is wrong.", failed: (error) => this.failed(error) });
    this.other = el("p", { class: "form-buttons", hidden: true });
    this.element = el("section", { class: "card door", "aria-labelledby": "door-title" },
      el("h1", { id: "door-title" }, "Sign in"), words ? el("p", { class: "muted" }, words) : null,
      refusal ? el("p", { class: "form-fault", role: "alert" }, REFUSALS[refusal] ?? REFUSALS.refused ?? "") : null, this.form.element, this.other);
    this.offer(isOver).catch(() => {});
  }

  /** Offers to sign in at the provider, if there is one. @param {boolean} isOver */
  async offer(isOver) {
    /** @type {{ label: string | null }} */
    const { label } = await (await send("GET", "/v1/oidc")).json();
    if (label === null) return;
    // In another page when this one has something to go on with: it hears of the session then.
    const more = isOver ? { target: "_blank", rel: "noopener" } : {};
    const back = isOver ? "/" : location.pathname + location.search + location.hash;
    // Somebody else may sit there by now, whom the provider would let in as the person before.
    const href = `/v1/oidc/start?return_to=${encodeURIComponent(back)}${isOver ? "&anew=true" : ""}`;
    this.other.replaceChildren(el("a", { class: "button provider", href, ...more }, `Sign in with ${label}`));
    this.other.hidden = false;
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
