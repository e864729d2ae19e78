// The sites that grants can name.

import { el } from "./elements.js";
import { Form, labelled } from "./forms.js";
import { ask } from "./request.js";
import { Section } from "./section.js";
import { clock } from "./words.js";

/** @import { SiteItem } from "./types.js" */

export function sitesSection() {
  // Offered where sites are typed.
  const names = el("datalist", { id: "site-names" });
  /** @type {Section<SiteItem>} */
  const section = new Section("Sites", ["Name", "Added", ""], "/v1/sites", ({ name, added_at: added }) => {
    names.append(el("option", { value: name }));
    const remove = () => section.attempt(async () => {
      await ask("DELETE", `/v1/sites/${encodeURIComponent(name)}`);
      names.replaceChildren();
    });
    return [name, clock(added), el("button", { type: "button", "aria-label": `Remove: ${name}`, onclick: remove }, "Remove")];
  });
  section.say("The images of a site, and grants at it, stay when it is removed from this list.");
  const name = el("input", { type: "text", required: true, maxlength: "63", pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", autocomplete: "off", spellcheck: "false" });
  const form = new Form("Add the site", [labelled("Name", name, "Letters, digits, . _ -, as in keys of objects: incoming/NAME/…")], async () => {
    await ask("POST", "/v1/sites", { body: { name: name.value } });
    form.element.reset();
    names.replaceChildren();
    section.load();
  });
  section.add("Add a site", form.element);
  section.element.append(names);
  return section;
}
