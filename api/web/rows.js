// One row of the list.

/** @import { ImageItem, ResultBody } from "./types.js" */

import { open } from "./address.js";
import { el, shape } from "./elements.js";
import { unwatch, watch } from "./exposure.js";
import { particulars, who } from "./patient.js";
import { band, clock, duration, figure, personWarnings, shortId, verdict } from "./words.js";

/** The verdict as shape, word and colour. @param {ImageItem} image */
export function verdictElement(image) {
  const said = verdict(image);
  const more = [said.more, said.human ? "A person must look at it." : null].filter(Boolean).join(" ");
  return el("span", { class: `verdict tone-${said.tone}` }, shape(said.shape),
    el("span", {}, said.more ? `${said.word}: ` : said.word, more ? el("small", {}, more) : null));
}

/** The score on a band with the threshold marked. @param {ResultBody} result */
export function bandElement(result) {
  const fill = el("i");
  const mark = el("b");
  fill.style.width = `${result.probability * 100}%`;
  mark.style.left = `calc(${result.threshold * 100}% - 1px)`;
  return el("div", { class: result.flagged ? "band flagged" : "band", "aria-hidden": "true" }, fill, mark);
}

/** In words, and no percentage: a score is no probability. @param {ResultBody | null} result */
function score(result) {
  if (!result) return [el("span", { class: "muted", "aria-label": "none" }, "–")];
  const title = `Score ${figure(result.probability)}, threshold ${figure(result.threshold)}, on a scale of the model's own from 0 to 1. Not a probability.`;
  return [el("div", { class: "score", title }, el("span", {}, band(result)), bandElement(result))];
}

/** What is to be known of the person, in a few words; null where nothing is. @param {ImageItem} image */
export function warnedElement(image) {
  const words = personWarnings(image);
  return words.length > 0 ? el("strong", { class: "warned" }, words.join(", ")) : null;
}

/** @param {HTMLElement | null} warned @param {string} words */
const joined = (warned, words) => (warned ? [warned, " · ", words] : [words]);

/** Whom it shows. @param {ImageItem} image */
function patient(image) {
  if (!image.patient) return [el("span", { class: "muted", "aria-label": "not known" }, "–")];
  return [el("span", {}, who(image.patient)), el("small", {}, ...joined(warnedElement(image), particulars(image)))];
}

/** How long an image waits, or how long it took. @param {ImageItem} image */
function waiting(image) {
  const received = Date.parse(image.received_at);
  if (image.finished_at) return `took ${duration((Date.parse(image.finished_at) - received) / 1000)}`;
  return duration((Date.now() - received) / 1000);
}

/** A table row that changes in place. */
export class Row {
  /** @param {ImageItem} image */
  constructor(image) {
    // A cell of a table grows with what is in it, whatever its style says: the boxes in the cells have the height.
    this.assessment = el("div", { class: "cell" });
    this.patient = el("div", { class: "cell patient" });
    this.score = el("div", { class: "cell" });
    this.site = el("div", { class: "cell short" });
    this.received = el("div", { class: "cell short" });
    this.wait = el("div", { class: "cell short" });
    this.model = el("div", { class: "cell short" });
    const link = el("a", { class: "open", href: `#/images/${image.id}`, "aria-label": `Open image ${shortId(image.id)}` }, shortId(image.id));
    const boxes = [this.assessment, this.patient, this.score, this.site, this.received, this.wait, this.model, el("div", { class: "cell" }, link)];
    this.element = el("tr", { "data-id": image.id, ondblclick: () => open(image.id) }, ...boxes.map((box) => el("td", {}, box)));
    this.image = image;
    this.status = "";
    this.draw(image);
  }

  /** @param {ImageItem} image */
  draw(image) {
    const before = this.status;
    this.status = image.status;
    this.image = image;
    this.element.dataset.status = image.status;
    this.assessment.replaceChildren(verdictElement(image),
      ...(image.priority === "stat" ? [el("span", { class: "badge", title: "Urgent" }, "STAT")] : []));
    this.assessment.title = this.assessment.textContent ?? "";
    this.patient.replaceChildren(...patient(image));
    this.patient.title = image.patient ? [who(image.patient), ...personWarnings(image), particulars(image)].join(", ") : "";
    this.score.replaceChildren(...score(image.result));
    this.watch(image);
    this.site.textContent = image.site ?? "–";
    this.site.title = image.site ?? "";
    this.received.textContent = clock(image.received_at);
    this.received.title = image.received_at;
    this.wait.textContent = waiting(image);
    this.model.textContent = image.result?.model.version ?? "–";
    this.model.title = image.result?.model.version ?? "";
    if (before && before !== image.status) {
      this.element.classList.remove("changed");
      requestAnimationFrame(() => this.element.classList.add("changed"));
    }
  }

  /** What of the answer the row shows is on record. @param {ImageItem} image */
  watch({ id, result }) {
    if (result) {
      watch(this.assessment, id, result.model.sha256, "flag");
      watch(this.score, id, result.model.sha256, "probability");
    } else {
      unwatch(this.assessment);
      unwatch(this.score);
    }
  }

  /** Moves the waiting time on. */
  tick() {
    if (!this.image.finished_at) this.wait.textContent = waiting(this.image);
  }
}
