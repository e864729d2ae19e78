// What machines sign in with.

import { el } from "./elements.js";
import { Form, labelled } from "./forms.js";
import { GrantsField } from "./grants.js";
import { secretLine, showOnce } from "./once.js";
import { ask, askJson } from "./request.js";
import { Section } from "./section.js";
import { clock } from "./words.js";

/** @import { NewTokenItem, TokenItem } from "./types.js" */

export function tokensSection() {
  /** @type {Section<TokenItem>} */
  const section = new Section("Tokens", ["Name", "Roles", "State", "Last used", ""], "/v1/tokens", (token) => cells(token, section));
  section.say("Machines send a token instead of signing in.");
  const name = el("input", { type: "text", required: true, maxlength: "64", autocomplete: "off", spellcheck: "false" });
  const days = el("input", { type: "number", min: "1", max: "3650", required: true, value: "90" });
  const grants = new GrantsField(["uploader@"]);
  const pair = el("input", { type: "checkbox" });
  const withPair = el("p", { class: "field" }, el("label", { class: "check" }, pair, " An S3 key pair too, for the embedded endpoint"));
  const form = new Form("Make a token", [labelled("What it is for", name), labelled("Days until it expires", days), grants.element, withPair], async () => {
    /** @type {NewTokenItem} */
    const { token, secret, s3 } = await askJson("POST", "/v1/tokens", { body: { name: name.value.trim(), grants: grants.values(), days: Number(days.value), s3: pair.checked } });
    name.value = "";
    pair.checked = false;
    await showOnce(`Token ${token.name}`, "It is shown this once. A machine sends it as Authorization: Bearer.", secret, s3 ? keyPair(s3) : null);
    section.load();
  });
  section.add("Make a token", form.element);
  return section;
}

/** What an S3 client signs with. @param {NonNullable<NewTokenItem["s3"]>} s3 */
const keyPair = ({ access_key_id: id, secret_access_key: secret }) => el("section", {}, el("h3", {}, "S3 key pair"),
  el("p", {}, "It allows what the token does, and ends with it. The secret is shown this once."),
  ...secretLine("Access key id", id), ...secretLine("Secret access key", secret));

/** @param {TokenItem} token @param {Section<TokenItem>} section */
function cells({ id, name, grants, expires_at: expires, revoked_at: revoked, used_at: used, added_at: added }, section) {
  const isOver = expires !== null && Date.parse(expires) <= Date.now();
  const state = revoked ? `revoked ${clock(revoked)}` : expires ? `${isOver ? "expired" : "until"} ${clock(expires)}` : `since ${clock(added)}`;
  const revoke = () => {
    if (confirm(`Revoke the token ${name}? What uses it is refused from then on.`)) {
      section.attempt(() => ask("DELETE", `/v1/tokens/${encodeURIComponent(id)}`));
    }
  };
  const button = revoked || isOver ? "" : el("button", { type: "button", "aria-label": `Revoke: ${name}`, onclick: revoke }, "Revoke");
  return [name, grants.join(" ") || "none", state, used ? clock(used) : "never", button];
}
