// The page of those who manage people: people, machines' tokens, sites.

import { byId, el } from "./elements.js";
import { eraseSection } from "./erase.js";
import { Form, labelled, showDialog } from "./forms.js";
import { GrantsField } from "./grants.js";
import { showOnce } from "./once.js";
import { ask, askJson } from "./request.js";
import { may, session } from "./session.js";
import { Section } from "./section.js";
import { sitesSection } from "./sites.js";
import { tokensSection } from "./tokens.js";
import { clock } from "./words.js";

/** @import { Invitation, PersonItem } from "./types.js" */

/** Fills the page. */
export function showPeople() {
  document.title = "People · Lobar";
  const people = peopleSection();
  const title = el("h1", { tabindex: "-1" }, "People and sites");
  byId("people").replaceChildren(
    el("div", { class: "people-bar" }, el("a", { href: "#/" }, "Back to the images"), title),
    people.element, tokensSection().element, sitesSection().element, ...(may("erase_images") ? [eraseSection()] : []));
  title.focus();
}

/** Empties it. */
export function hidePeople() {
  byId("people").replaceChildren();
}

function peopleSection() {
  const isFirst = session().kind === "local";
  /** @type {Section<PersonItem>} */
  const section = new Section("People", ["Name", "Roles", "State", "Added", ""], "/v1/people",
    (person) => personCells(person, section));
  if (isFirst) {
    section.say("Nobody has an account yet, so whoever uses this machine may do everything. Adding an account turns sign-in on: begin with an admin.");
  }
  const name = el("input", { type: "text", required: true, maxlength: "64", autocomplete: "off", spellcheck: "false" });
  const grants = new GrantsField(isFirst ? ["admin@*"] : ["clinician@"]);
  const form = new Form("Invite", [labelled("Name to sign in with", name), grants.element], async () => {
    /** @type {Invitation} */
    const invited = await askJson("POST", "/v1/people", { body: { name: name.value.trim(), grants: grants.values() } });
    name.value = "";
    await showLink(invited, "They set a password by it.");
    section.load();
  });
  section.add("Invite somebody", form.element);
  return section;
}

/** @param {PersonItem} person @param {Section<PersonItem>} section */
function personCells(person, section) {
  const { id, name, grants, disabled, password, totp, external, added_at: added } = person;
  const path = `/v1/people/${encodeURIComponent(id)}`;
  const state = [disabled ? "disabled" : password || external ? "active" : "invited", totp && "one-time codes", external && "signed in elsewhere"];
  const own = id === session().id;
  const button = (/** @type {string} */ words, /** @type {() => Promise<unknown>} */ does) =>
    el("button", { type: "button", "aria-label": `${words}: ${name}`, onclick: () => section.attempt(does) }, words);
  const reset = async () => showLink(await askJson("POST", `${path}/reset`), "It sets a new password. The one before holds until then.");
  return [
    own ? `${name} (you)` : name, grants.join(" ") || "none", state.filter(Boolean).join(", "), clock(added),
    el("span", { class: "row-buttons" },
      el("button", { type: "button", "aria-label": `Roles: ${name}`, onclick: () => editGrants(person, section) }, "Roles"),
      disabled || external ? null : button(password ? "Reset password" : "New link", reset),
      disabled ? null : button("Sign out", () => ask("DELETE", `${path}/sessions`)),
      own ? null : button(disabled ? "Enable" : "Disable", () => ask("PUT", path, { body: { disabled: !disabled } }))),
  ];
}

/** @param {PersonItem} person @param {Section<PersonItem>} section */
function editGrants({ id, name, grants }, section) {
  const field = new GrantsField(grants);
  const form = new Form("Save", [field.element], async () => {
    await ask("PUT", `/v1/people/${encodeURIComponent(id)}`, { body: { grants: field.values() } });
    dialog.close();
    section.load();
  });
  const dialog = showDialog(`Roles of ${name}`, form.element);
}

/** @param {Invitation} invitation @param {string} words */
const showLink = ({ person, link_secret: secret }, words) =>
  showOnce(`Link for ${person.name}`, `Give it to them alone: it is shown this once. ${words}`, `${location.origin}/#/link/${secret}`);
