// Erasing an image for good, by its id: whoever may do so need not see images.

import { el } from "./elements.js";
import { Form, labelled } from "./forms.js";
import { askJson } from "./request.js";

/** @import { ErasedItem } from "./types.js" */

/** Why, as the audit record has it. There is no room for a sentence, which would hold what is to be erased. */
const REASONS = [
  ["request", "The patient asks for it"],
  ["consent", "Consent was withdrawn"],
  ["mistake", "It should not have been uploaded"],
  ["obligation", "A law or an authority demands it"],
  ["retention", "The time for which it is kept is over"],
];

const UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";

export function eraseSection() {
  const id = el("input", { type: "text", required: true, pattern: UUID, autocomplete: "off", spellcheck: "false" });
  const reason = el("select", { required: true }, el("option", { value: "" }, "Choose…"),
    ...REASONS.map(([value, words]) => el("option", { value: value ?? "" }, words ?? "")));
  const sure = el("input", { type: "checkbox", required: true });
  const said = el("p", { role: "status" });
  const fields = [
    labelled("Image id", id, "It stands in the address of the image: #/images/ID."), labelled("Why", reason),
    el("p", { class: "field" }, el("label", { class: "check" }, sure, " Every version of its object, its result and its verdicts are deleted. Nothing brings them back.")),
  ];
  const form = new Form("Erase the image", fields, async () => {
    said.textContent = "";
    const path = `/v1/images/${encodeURIComponent(id.value.trim().toLowerCase())}?reason=${encodeURIComponent(reason.value)}`;
    /** @type {ErasedItem} */
    const erased = await askJson("DELETE", path);
    form.element.reset();
    said.textContent = erased.state === "erased"
      ? `${erased.id} is erased.`
      : `${erased.id} is not shown any more. The bucket has not deleted its object yet: that is tried again every minute.`;
  });
  return el("section", { class: "card", id: "erase", "aria-labelledby": "section-erase" },
    el("h2", { id: "section-erase" }, "Erase an image"),
    el("details", {}, el("summary", {}, "Erase an image for good"), form.element), said);
}
