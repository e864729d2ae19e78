// One's own account: sessions, password, one-time codes, signing out.

import { el } from "./elements.js";
import { Form, NewPassword, codeField, labelled, passwordField, showDialog } from "./forms.js";
import { ask, askJson, wordsOf } from "./request.js";
import { may, session, signOut, take } from "./session.js";
import { clock, duration } from "./words.js";

/** @import { SessionItem, TotpOffer } from "./types.js" */

/**
 * Who is signed in, for the page's header.
 * @param {() => boolean} isBusy whether something is still being sent, which signing out would stop
 */
export function whoElement(isBusy) {
  const { kind, name } = session();
  const people = may("manage_people") ? el("a", { href: "#/people", class: "people-link" }, "People") : null;
  const uploads = may("read_images") ? el("a", { href: "#/batches", class: "uploads-link" }, "Uploads") : null;
  const audit = may("read_audit") ? el("a", { href: "#/audit", class: "people-link" }, "Audit") : null;
  if (kind === "local") {
    const hint = "Whoever uses this machine is let in without signing in, as long as nobody has an account. Adding one turns sign-in on.";
    return el("div", { class: "who" }, uploads, people, audit, el("span", { title: hint }, "local user, all rights"), el("small", {}, "Adding an account turns sign-in on."));
  }
  const out = () => signOutHere("/v1/session", isBusy);
  return el("div", { class: "who" }, uploads, people, audit,
    el("button", { type: "button", class: "who-name", "aria-haspopup": "dialog", title: name, onclick: () => openAccount(isBusy) }, el("span", { class: "unseen" }, "Your account: "), name),
    el("button", { type: "button", onclick: out }, "Sign out"));
}

/** @param {"/v1/session" | "/v1/sessions"} path @param {() => boolean} isBusy */
async function signOutHere(path, isBusy) {
  if (isBusy() && !confirm("Files are still being sent. Sign out, and stop them?")) return;
  try {
    await signOut(path);
  } catch (error) {
    showDialog("You are still signed in", el("p", { class: "form-fault", role: "alert" }, wordsOf(error)));
  }
}

/** @param {() => boolean} isBusy */
function openAccount(isBusy) {
  const { name, grants, external, expires_at: ends, idle_seconds: idle } = session();
  const lasts = ends ? `This session ends ${clock(ends)}${idle ? `, or after ${duration(idle)} without use` : ""}.` : null;
  showDialog(name,
    el("p", {}, grants.length ? `Roles: ${grants.join(", ")}.` : "No role was granted to you yet.", " ", lasts),
    sessionsElement(isBusy), ...(external ? [] : [passwordElement(), codesElement()]));
}

/** @param {() => boolean} isBusy */
function sessionsElement(isBusy) {
  const list = el("ul", { class: "sessions" });
  const said = el("p", { class: "form-fault", role: "alert" });
  const draw = async () => {
    said.textContent = "";
    try {
      /** @type {{ items: SessionItem[] }} */
      const { items } = await askJson("GET", "/v1/sessions");
      list.replaceChildren(...items.map((item) => sessionElement(item, end)));
    } catch (error) {
      said.textContent = wordsOf(error);
    }
  };
  const end = async (/** @type {string} */ id) => {
    try {
      await ask("DELETE", `/v1/sessions/${encodeURIComponent(id)}`);
    } catch (error) {
      said.textContent = wordsOf(error);
    }
    await draw();
  };
  draw();
  return el("section", { "aria-label": "Your sessions" }, el("h3", {}, "Your sessions"), list, said,
    el("p", { class: "form-buttons" }, el("button", { type: "button", onclick: () => signOutHere("/v1/sessions", isBusy) }, "Sign out everywhere")));
}

/** @param {SessionItem} item @param {(id: string) => void} end */
function sessionElement({ id, client, opened_at: opened, used_at: used, expires_at: ends, current }, end) {
  const words = `opened ${clock(opened)}, last used ${clock(used)}, ends ${clock(ends)}`;
  return el("li", {}, el("span", {}, el("strong", {}, client || "Unknown client"), current ? " (this one)" : "", el("small", {}, words)),
    current ? null : el("button", { type: "button", "aria-label": `End the session ${client}, opened ${clock(opened)}`, onclick: () => end(id) }, "End"));
}

function passwordElement() {
  const current = passwordField("current-password");
  const password = new NewPassword();
  // A password manager keeps the new one under this name.
  const name = el("input", { type: "text", autocomplete: "username", hidden: true });
  name.value = session().name;
  const done = el("p", { role: "status" });
  const form = new Form("Change the password", [name, labelled("Password now", current), ...password.elements], async () => {
    done.textContent = "";
    take(await askJson("PUT", "/v1/password", { body: { current: current.value, new: password.value() } }));
    form.element.reset();
    done.textContent = "The password is changed. All your other sessions are over.";
  }, { wrong: "The password that you have now is another one." });
  return el("section", { "aria-label": "Password" }, el("h3", {}, "Password"), form.element, done);
}

function codesElement() {
  const space = el("div");
  const said = el("p", { role: "status" });
  const begin = async () => {
    said.textContent = "";
    try {
      space.replaceChildren(offerElement(await askJson("POST", "/v1/totp"), (words) => {
        space.replaceChildren();
        draw(true);
        said.textContent = words;
      }));
      space.querySelector("input")?.focus();
    } catch (error) {
      said.textContent = wordsOf(error);
    }
  };
  const remove = () => {
    said.textContent = "";
    const password = passwordField("current-password");
    const form = new Form("Remove the codes", [labelled("Password", password)], async () => {
      await ask("DELETE", "/v1/totp", { body: { password: password.value } });
      space.replaceChildren();
      draw(false);
      said.textContent = "No code is asked for any more.";
    });
    space.replaceChildren(form.element);
    password.focus();
  };
  const words = el("p", { class: "muted" });
  const buttons = el("p", { class: "form-buttons" });
  /** @param {boolean | null} isOn */
  const draw = (isOn) => {
    session().codes = isOn;
    words.textContent = isOn
      ? "A code is asked for beside your password when you sign in."
      : "An app on your telephone makes codes that are asked for beside your password. None is asked for now.";
    buttons.replaceChildren(el("button", { type: "button", onclick: begin }, isOn ? "Set up codes anew" : "Set up codes"));
    if (isOn) buttons.append(el("button", { type: "button", onclick: remove }, "Remove codes"));
  };
  draw(session().codes);
  return el("section", { "aria-label": "One-time codes" }, el("h3", {}, "One-time codes"), words, buttons, space, said);
}

/** What the app takes in, and the proof that it did. @param {TotpOffer} offer @param {(words: string) => void} done */
function offerElement({ secret, uri }, done) {
  const code = codeField();
  code.required = true;
  const password = passwordField("current-password");
  const form = new Form("Turn codes on", [
    el("p", {}, "Type this secret into the app, or open the address with it:"),
    el("dl", { class: "offer" }, el("dt", {}, "Secret"), el("dd", {}, el("code", {}, secret)), el("dt", {}, "Address"), el("dd", {}, el("code", {}, uri))),
    labelled("Code that the app shows now", code), labelled("Password", password),
  ], async () => {
    await ask("PUT", "/v1/totp", { body: { secret, code: code.value.trim(), password: password.value } });
    done("From now on a code is asked for when you sign in.");
  }, { wrong: "The password or the code is wrong." });
  return form.element;
}
