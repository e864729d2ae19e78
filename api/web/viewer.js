// One image: the word and the percent first, then the picture, the heatmap on request, and
// everything needed to know how the result came about.

import { open } from "./address.js";
import * as api from "./api.js";
import { byId, el } from "./elements.js";
import { OpinionPanel } from "./opinion.js";
import { bandElement, verdictElement } from "./rows.js";
import { band, clock, duration, percent, shortId, threshold } from "./words.js";

const STEP = 0.1;

export class Viewer {
  /** `order()` gives the ids of the list, `nameOf(id)` the file name of an own upload. */
  constructor(order, nameOf) {
    this.order = order;
    this.nameOf = nameOf;
    this.root = byId("viewer");
    this.id = null;
    addEventListener("keydown", (event) => this.key(event));
  }

  /** Shows an image. */
  show(id) {
    this.close();
    this.id = id;
    this.image = null;
    this.abort = new AbortController();
    this.urls = [];
    this.build();
    this.reset();
    this.refresh();
    this.load("picture", this.picture);
    this.root.querySelector("h1").focus();
  }

  close() {
    this.abort?.abort();
    this.urls?.forEach((url) => URL.revokeObjectURL(url));
    this.root.replaceChildren();
    this.id = null;
  }

  /** Asks for the image again, after an event. */
  async refresh() {
    const id = this.id;
    try {
      const image = await api.image(id, this.abort.signal);
      if (id !== this.id) return;
      if (image) this.image = image;
      this.draw(image ? null : "No image of this id is known.");
    } catch (error) {
      if (error.name !== "AbortError" && id === this.id) this.draw(error.message);
    }
  }

  build() {
    const button = (words, key, does) => el("button", { type: "button", onclick: does }, words, " ", el("kbd", {}, key));
    this.title = el("h1", { tabindex: "-1" });
    this.picture = el("img", { class: "picture", alt: "Chest X-ray" });
    this.heat = el("img", { class: "heat", alt: "", hidden: true });
    this.absent = el("p", { role: "status" }, "Loading the picture…");
    this.layers = el("div", { class: "layers", hidden: true }, this.picture, this.heat);
    this.heatButton = button("Heatmap", "H", () => this.toggleHeat());
    this.invertButton = button("Invert", "I", () => this.toggleInvert());
    this.opacity = el("input", { type: "range", min: "0.1", max: "1", step: "0.1", oninput: () => this.drawLayers() });
    this.heatWords = el("p", { class: "legend" });
    this.opinion = new OpinionPanel(() => this.displayed(), () => this.refresh());
    this.facts = el("section", { class: "card facts", "aria-label": "Result" });
    this.root.replaceChildren(
      el("div", { class: "viewer-bar" },
        button("Back to the list", "Esc", () => open(null)), this.title,
        button("Previous", "K", () => this.step(-1)), button("Next", "J", () => this.step(1))),
      el("section", { "aria-label": "Picture" },
        el("div", { class: "stage" }, this.layers, this.absent),
        el("div", { class: "tools" }, this.heatButton,
          el("label", {}, "Opacity ", el("kbd", {}, "["), this.opacity, el("kbd", {}, "]")),
          this.invertButton, button("Reset", "Space", () => this.reset())),
        this.heatWords, this.opinion.element),
      this.facts);
  }

  /** Everything about the view as it was at first. */
  reset() {
    this.heatOn = false;
    this.inverted = false;
    this.opacity.value = "0.7";
    this.drawLayers();
  }

  /** Whether there is a heatmap that may be shown: below the threshold it would only mislead. */
  hasHeat() {
    return Boolean(this.image?.result?.heatmap && this.image.result.flagged);
  }

  async toggleHeat() {
    if (!this.hasHeat()) return;
    this.heatOn = !this.heatOn;
    this.drawLayers();
    if (this.heatOn && !this.heat.src) await this.load("heatmap", this.heat);
  }

  /** What a verdict was given by. */
  displayed() {
    return ["picture", this.heatOn && "heatmap", this.inverted && "inverted"].filter(Boolean);
  }

  toggleInvert() {
    this.inverted = !this.inverted;
    this.drawLayers();
  }

  async load(what, into) {
    try {
      const url = await api.png(this.id, what, this.abort.signal);
      this.urls.push(url);
      into.src = url;
      if (into === this.picture) Object.assign(this.layers, { hidden: false }), this.absent.hidden = true;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (into === this.picture) this.absent.textContent = error.message;
      else this.heatWords.textContent = error.message;
    }
  }

  drawLayers() {
    this.picture.classList.toggle("inverted", this.inverted);
    this.invertButton.setAttribute("aria-pressed", String(this.inverted));
    this.heat.hidden = !this.heatOn;
    this.heat.style.opacity = this.opacity.value;
    this.opacity.disabled = !this.heatOn;
    this.heatButton.setAttribute("aria-pressed", String(this.heatOn));
    this.heatButton.disabled = !this.hasHeat();
    const ramp = el("span", { class: "ramp", "aria-hidden": "true" });
    if (this.heatOn) this.heatWords.replaceChildren("less", ramp, "more: what influenced the score, not a lesion outline");
    else this.heatWords.replaceChildren(this.heatNote());
  }

  heatNote() {
    const result = this.image?.result;
    if (!result) return "";
    if (!result.flagged) return "The heatmap is shown for flagged images only.";
    return result.heatmap ? "The heatmap is off." : "There is no heatmap of this image.";
  }

  draw(fault) {
    const image = this.image;
    const name = this.nameOf(this.id);
    this.title.replaceChildren(`Image ${shortId(this.id)}`,
      el("small", {}, [name, image?.site && `site ${image.site}`, image && `received ${clock(image.received_at)}`].filter(Boolean).join(" · ")));
    document.title = `Image ${shortId(this.id)} · Lobar`;
    this.facts.replaceChildren(...(fault ? [el("p", { class: "fault", role: "alert" }, fault)] : []), ...(image ? this.resultElements(image) : []));
    this.opinion.draw(image);
    this.drawLayers();
  }

  resultElements(image) {
    const result = image.result;
    const parts = [verdictElement(image)];
    if (image.reason_detail) parts.push(el("p", {}, image.reason_detail));
    if (result) {
      parts.push(el("div", {},
        el("p", { class: "percent" }, percent(result.probability), " ", el("small", {}, `calibrated probability of pneumonia, ${band(result)}`)),
        bandElement(result)));
    }
    if (result?.warnings.length) {
      parts.push(el("div", { class: "warnings" }, el("strong", {}, "To know about this image"),
        el("ul", {}, ...result.warnings.map((warning) => el("li", {}, warning)))));
    }
    parts.push(facts(image));
    if (result) parts.push(el("p", { class: "statement" }, result.statement_of_use));
    return parts;
  }

  step(by) {
    const order = this.order();
    const next = order[order.indexOf(this.id) + by];
    if (order.includes(this.id) && next) open(next);
  }

  key(event) {
    if (!this.id || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=range]), textarea, select")) return;
    const fade = (by) => {
      this.opacity.value = String(Number(this.opacity.value) + by);
      this.drawLayers();
    };
    const does = {
      escape: () => open(null), h: () => this.toggleHeat(), i: () => this.toggleInvert(),
      "[": () => fade(-STEP), "]": () => fade(STEP), j: () => this.step(1), k: () => this.step(-1),
      " ": () => this.reset(),
    }[event.key.toLowerCase()];
    if (!does && !event.repeat && this.opinion.press(event.key.toLowerCase())) return;
    // Space presses the button that has the focus.
    if (!does || (event.key === " " && event.target.matches("button, a"))) return;
    event.preventDefault();
    does();
  }
}

function facts(image) {
  const result = image.result;
  const subtype = result?.subtype;
  const rows = [
    ["Threshold", result && threshold(result.threshold)],
    ["Subtype", subtype && `${subtype.label.toLowerCase()} ${percent(subtype.probability)} (experimental)`],
    ["Priority", image.priority],
    ["Received", clock(image.received_at)],
    ["Finished", image.finished_at && `${clock(image.finished_at)}, took ${duration((Date.parse(image.finished_at) - Date.parse(image.received_at)) / 1000)}`],
    ["Model", result?.model.version],
    ["Weights", result && `SHA-256 ${result.model.sha256}`],
    ["Preprocessing", result?.model.preprocessing],
    ["Id", image.id],
  ].filter(([, value]) => value);
  return el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
