// The dialog of the list: which columns it has and in which order, and whether the desktop tells of what needs a reader.

import { choose, chosenColumns, mayGo } from "./arrangement.js";
import { COLUMNS } from "./columns.js";
import { byId, el } from "./elements.js";
import { showDialog } from "./forms.js";

/** @import { Notifier } from "./notify.js" */

/** Makes its button work. @param {Notifier} notifier @param {() => void} changed is called when the list has other columns */
export function setUpOptions(notifier, changed) {
  byId("options").addEventListener("click", () => {
    const button = byId("options");
    const dialog = showDialog("The list", columnsElement(changed), notificationElement(notifier));
    dialog.addEventListener("close", () => button.focus({ preventScroll: true }));
  });
}

/** @param {() => void} changed */
function columnsElement(changed) {
  const list = el("ol", { class: "columns-list" });
  const said = el("p", { class: "unseen", role: "status" });
  const change = (/** @type {string[] | null} */ names, /** @type {string} */ words) => {
    choose(names);
    said.textContent = words;
    draw();
    changed();
  };
  const draw = () => {
    // The focus stays on what it was on, or on the other way of the same column where that one's end is reached.
    const focused = document.activeElement instanceof HTMLElement && list.contains(document.activeElement) ? document.activeElement.dataset : null;
    const shown = chosenColumns();
    const others = COLUMNS.map(({ name }) => name).filter((name) => !shown.includes(name));
    list.replaceChildren(...[...shown, ...others].map((name) => item(name, shown)));
    if (!focused) return;
    const again = [...list.querySelectorAll("[data-column]")].filter((one) => one instanceof HTMLElement && one.dataset.column === focused.column);
    const same = again.find((one) => one instanceof HTMLElement && one.dataset.does === focused.does);
    const target = [same, ...again].find((one) => one && !(/** @type {HTMLButtonElement} */ (one).disabled));
    if (target instanceof HTMLElement) target.focus();
  };
  /** @param {string} name @param {string[]} shown */
  const item = (name, shown) => {
    const words = COLUMNS.find((column) => column.name === name)?.words ?? name;
    const at = shown.indexOf(name);
    const move = (/** @type {number} */ by) => {
      const names = [...shown];
      names.splice(at, 1);
      names.splice(at + by, 0, name);
      change(names, `${words} is column ${at + by + 1} of ${shown.length}.`);
    };
    const box = el("input", {
      type: "checkbox", checked: at >= 0, disabled: !mayGo(name), "data-column": name, "data-does": "show",
      onchange: () => change(at >= 0 ? shown.filter((one) => one !== name) : [...shown, name], `${words} is ${at >= 0 ? "not shown" : "the last column"}.`),
    });
    const way = (/** @type {string} */ does, /** @type {number} */ by, /** @type {boolean} */ isOff) =>
      el("button", { type: "button", "data-column": name, "data-does": does, "aria-label": `${words}: ${does}`, disabled: isOff, onclick: () => move(by) }, does === "earlier" ? "↑" : "↓");
    return el("li", {}, el("label", { class: "check" }, box, ` ${words}`),
      way("earlier", -1, at <= 0), way("later", 1, at < 0 || at === shown.length - 1));
  };
  draw();
  return el("section", { "aria-label": "Columns" }, el("h3", {}, "Columns"),
    el("p", { class: "muted" }, "Narrow windows leave columns out, never the assessment or the patient."), list, said,
    el("p", { class: "form-buttons" }, el("button", { type: "button", onclick: () => change(null, "The columns are as they were at first.") }, "Columns as at first")));
}

/** @param {Notifier} notifier */
function notificationElement(notifier) {
  const said = el("p", { class: "form-fault", role: "alert" });
  const box = el("input", { type: "checkbox", checked: notifier.isOn(), id: "notify" });
  box.addEventListener("change", async () => {
    said.textContent = "";
    if (!box.checked) return notifier.turnOff();
    const why = await notifier.turnOn();
    box.checked = notifier.isOn();
    said.textContent = why ?? "";
    return undefined;
  });
  return el("section", { "aria-label": "Notification" }, el("h3", {}, "Notification"),
    el("label", { class: "check" }, box, " Tell me on the desktop when an image needs a reader"),
    el("p", { class: "muted" }, "Only while this page is not in sight, at most once a minute, and nothing of a patient: how many are flagged, urgent or not assessed. Where you give your own opinion first, it says nothing of flags."),
    said);
}
