// One image: the word first, then the picture, the heatmap on request, and everything needed to know
// how the result came about.

import { open } from "./address.js";
import * as api from "./api.js";
import { byId, el } from "./elements.js";
import { watch } from "./exposure.js";
import { OpinionPanel } from "./opinion.js";
import { identityFacts, particulars, who } from "./patient.js";
import { PriorsPanel } from "./priors.js";
import { bandElement, verdictElement, warnedElement } from "./rows.js";
import { band, clock, duration, figure, shortId, standing, warningWords } from "./words.js";

/** @import { ModelCard } from "./api.js" */
/** @import { ImageItem, ResultBody } from "./types.js" */

const STEP = 0.1;
/** How soon an image is asked for again whose result is withheld because the record cannot be read, in ms. */
const AGAIN = 5_000;

export class Viewer {
  /**
   * @param {() => string[]} order the ids of the list
   * @param {(id: string) => string | null} nameOf the file name of an own upload
   * @param {(id: string) => void} changed is called when what is known of an image has changed for its reader
   */
  constructor(order, nameOf, changed) {
    this.order = order;
    this.changed = changed;
    this.nameOf = nameOf;
    this.root = byId("viewer");
    /** @type {string | null} */
    this.id = null;
    /** @type {ImageItem | null} */
    this.image = null;
    this.abort = new AbortController();
    /** How often the image was asked for: an answer that comes after that to a later question says nothing new. */
    this.asked = 0;
    /** @type {string[]} */
    this.urls = [];
    /** @type {ModelCard | null} */
    this.card = null;
    /** Which rendering of the picture this image's reader has before their eyes; null while there is none. @type {string | null} */
    this.rendering = null;
    this.heatPainted = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.heatOn = false;
    this.inverted = false;
    this.view = this.build();
    this.root.replaceChildren();
    addEventListener("keydown", (event) => this.key(event));
  }

  /** Shows an image. @param {string} id */
  show(id) {
    this.close();
    this.id = id;
    this.image = null;
    this.card = null;
    this.abort = new AbortController();
    this.urls = [];
    this.view = this.build();
    this.reset();
    this.refresh();
    this.load("picture", this.view.picture);
    this.view.title.focus();
  }

  close() {
    this.abort.abort();
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.root.replaceChildren();
    this.id = null;
    this.image = null;
    this.rendering = null;
    this.heatPainted = false;
  }

  /** Asks for the image again, after an event. */
  async refresh() {
    const id = this.id;
    if (!id) return;
    const turn = ++this.asked;
    try {
      const image = await api.image(id, this.abort.signal);
      if (id !== this.id || turn !== this.asked) return;
      if (image) this.image = image;
      this.draw(image ? null : "No image of this id is known.");
      if (image) this.view.priors.load(image);
      // No event tells when the record can be read again.
      if (image?.withheld === "record_unavailable") this.askAgain(id);
      // It only adds to what is shown: a card that does not come must not keep the result from its reader.
      if (!image?.result) return;
      const card = await api.card(image.result.model.version);
      if (id !== this.id || card === this.card) return;
      this.card = card;
      this.draw(null);
    } catch (error) {
      if (!api.isAbort(error) && id === this.id && turn === this.asked) this.draw(api.wordsOf(error));
    }
  }

  /** Asks for an image again in a while, if it is still shown then. @param {string} id */
  askAgain(id) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { if (id === this.id) this.refresh(); }, AGAIN);
  }

  /** The elements of a view on an image, put into the page. */
  build() {
    const picture = el("img", { class: "picture", alt: "Chest X-ray" });
    const heat = el("img", { class: "heat", alt: "", hidden: true });
    const view = {
      picture,
      heat,
      title: el("h1", { tabindex: "-1" }),
      absent: el("p", { role: "status" }, "Loading the picture…"),
      layers: el("div", { class: "layers", hidden: true }, picture, heat),
      heatButton: button("Heatmap", "H", () => this.toggleHeat()),
      invertButton: button("Invert", "I", () => this.toggleInvert()),
      opacity: el("input", { type: "range", min: "0.1", max: "1", step: "0.1", oninput: () => this.drawLayers() }),
      heatWords: el("p", { class: "legend" }),
      opinion: new OpinionPanel(() => this.displayed(), (id) => {
        this.changed(id);
        if (id === this.id) this.refresh();
      }),
      priors: new PriorsPanel(this.abort.signal),
      facts: el("section", { class: "card facts", "aria-label": "Result" }),
    };
    this.root.replaceChildren(
      el("div", { class: "viewer-bar" },
        button("Back to the list", "Esc", () => open(null)), view.title,
        button("Previous", "K", () => this.step(-1)), button("Next", "J", () => this.step(1))),
      el("section", { "aria-label": "Picture" },
        el("div", { class: "stage" }, view.layers, view.absent, view.priors.beside),
        el("div", { class: "tools" }, view.heatButton,
          el("label", {}, "Opacity ", el("kbd", {}, "["), view.opacity, el("kbd", {}, "]")),
          view.invertButton, button("Reset", "Space", () => this.reset())),
        view.heatWords, view.opinion.element, view.priors.element),
      view.facts);
    return view;
  }

  /** Everything about the view as it was at first. */
  reset() {
    this.heatOn = false;
    this.inverted = false;
    this.view.opacity.value = "0.7";
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
    if (this.heatOn && !this.view.heat.src) await this.load("heatmap", this.view.heat);
  }

  /**
   * What a verdict was given by: only what was decoded and painted, and is on the screen.
   * @returns {{ displayed: string[], rendering: string | null }}
   */
  displayed() {
    const picture = this.rendering !== null && this.view.picture.checkVisibility() && document.visibilityState === "visible";
    const heat = this.heatOn && this.heatPainted;
    const displayed = [picture && "picture", picture && heat && "heatmap", picture && this.inverted && "inverted"];
    return { displayed: displayed.filter((word) => word !== false), rendering: picture ? this.rendering : null };
  }

  toggleInvert() {
    this.inverted = !this.inverted;
    this.drawLayers();
  }

  /** @param {"picture" | "heatmap"} what @param {HTMLImageElement} into */
  async load(what, into) {
    const id = this.id;
    const model = this.image?.result?.model.sha256;
    if (!id) return;
    const { picture, absent, heatWords, layers } = this.view;
    try {
      const { url, rendering } = await api.png(id, what, this.abort.signal);
      this.urls.push(url);
      into.src = url;
      await into.decode();
      if (id !== this.id || into !== (what === "picture" ? this.view.picture : this.view.heat)) return;
      if (into === picture) {
        layers.hidden = false;
        absent.hidden = true;
      }
      await painted();
      if (id !== this.id || into !== (what === "picture" ? this.view.picture : this.view.heat)) return;
      if (into === picture) this.rendering = rendering;
      else {
        this.heatPainted = true;
        if (model) watch(into, id, model, "heatmap");
      }
    } catch (error) {
      if (api.isAbort(error) || id !== this.id) return;
      const words = into === picture ? absent : heatWords;
      words.textContent = error instanceof DOMException ? "What arrived is no picture that can be shown." : api.wordsOf(error);
      if (into !== picture) into.removeAttribute("src");
    }
  }

  drawLayers() {
    this.view.picture.classList.toggle("inverted", this.inverted);
    this.view.invertButton.setAttribute("aria-pressed", String(this.inverted));
    this.view.heat.hidden = !this.heatOn;
    this.view.heat.style.opacity = this.view.opacity.value;
    this.view.opacity.disabled = !this.heatOn;
    this.view.heatButton.setAttribute("aria-pressed", String(this.heatOn));
    this.view.heatButton.disabled = !this.hasHeat();
    const ramp = el("span", { class: "ramp", "aria-hidden": "true" });
    if (this.heatOn) this.view.heatWords.replaceChildren("less", ramp, "more: what influenced the score, not a lesion outline");
    else this.view.heatWords.replaceChildren(this.heatNote());
  }

  heatNote() {
    const result = this.image?.result;
    if (!result) return "";
    if (!result.flagged) return "The heatmap is shown for flagged images only.";
    return result.heatmap ? "The heatmap is off." : "There is no heatmap of this image.";
  }

  /** @param {string | null} fault what went wrong, in words */
  draw(fault) {
    if (!this.id) return;
    const image = this.image;
    const name = this.nameOf(this.id);
    const patient = image?.patient ? [who(image.patient), particulars(image)].filter(Boolean).join(" · ") : null;
    const unread = image?.identity_unavailable ? "whose it is cannot be read at the moment" : null;
    const place = [unread, patient && `image ${shortId(this.id)}`, name, image?.site && `site ${image.site}`, image && `received ${clock(image.received_at)}`];
    const warned = image ? warnedElement(image) : null;
    this.view.title.replaceChildren(patient ?? `Image ${shortId(this.id)}`, el("small", {}, place.filter(Boolean).join(" · ")), ...(warned ? [warned] : []));
    // No name: titles stay in the history of the browser.
    document.title = `Image ${shortId(this.id)} · Lobar`;
    this.view.facts.replaceChildren(...(fault ? [el("p", { class: "fault", role: "alert" }, fault)] : []), ...(image ? this.resultElements(image) : []));
    this.view.opinion.draw(image);
    this.drawLayers();
  }

  /** @param {ImageItem} image */
  resultElements(image) {
    const result = image.result;
    const word = verdictElement(image);
    /** @type {HTMLElement[]} */
    const parts = [word];
    if (result) watch(word, image.id, result.model.sha256, "word");
    if (image.reason_detail) parts.push(el("p", {}, image.reason_detail));
    if (result) {
      const scored = el("div", {}, standingElement(result, this.card), bandElement(result));
      watch(scored, image.id, result.model.sha256, "probability");
      parts.push(scored);
    }
    const warnings = warningWords(image);
    if (warnings.length > 0) {
      parts.push(el("div", { class: "warnings" }, el("strong", {}, "To know about this image"),
        el("ul", {}, ...warnings.map((warning) => el("li", {}, warning)))));
    }
    parts.push(facts(image));
    if (result) parts.push(el("p", { class: "statement" }, result.statement_of_use));
    return parts;
  }

  /** Opens the image so many places further in the list. @param {number} by */
  step(by) {
    const order = this.order();
    const place = this.id ? order.indexOf(this.id) : -1;
    const next = order[place + by];
    if (place >= 0 && next) open(next);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { target } = event;
    // What lies under a dialog is not in front of anybody.
    if (document.querySelector("dialog[open]")) return;
    if (!this.id || event.ctrlKey || event.metaKey || event.altKey || !(target instanceof Element)) return;
    if (target.matches("input:not([type=range]), textarea, select")) return;
    const fade = (/** @type {number} */ by) => {
      this.view.opacity.value = String(Number(this.view.opacity.value) + by);
      this.drawLayers();
    };
    /** @type {Record<string, () => void>} */
    const keys = {
      escape: () => open(null), h: () => this.toggleHeat(), i: () => this.toggleInvert(),
      "[": () => fade(-STEP), "]": () => fade(STEP), j: () => this.step(1), k: () => this.step(-1),
      " ": () => this.reset(),
    };
    const does = keys[event.key.toLowerCase()];
    if (!does && !event.repeat && this.view.opinion.press(event.key.toLowerCase())) return;
    // Space presses the button that has the focus.
    if (!does || (event.key === " " && target.matches("button, a"))) return;
    event.preventDefault();
    does();
  }
}

/** A button with its key beside it. @param {string} words @param {string} key @param {() => void} does */
const button = (words, key, does) => el("button", { type: "button", onclick: does }, words, " ", el("kbd", {}, key));

/** Resolves when what the page holds now has been painted. A page in the background paints nothing, and waits. */
async function painted() {
  for (let frame = 0; frame < 2; frame += 1) await new Promise((next) => requestAnimationFrame(next));
}

/** Where the score stands, as far as the model's card says. @param {ResultBody} result @param {ModelCard | null} card */
function standingElement(result, card) {
  const words = standing(result, card);
  return el("p", { class: "standing" }, el("strong", {}, `Score ${band(result)}`), words && el("small", {}, words));
}

/** @param {ImageItem} image */
function facts(image) {
  const result = image.result;
  const subtype = result?.subtype;
  /** @type {[string, string | null | undefined][]} */
  const rows = [
    ...identityFacts(image),
    ["Score", result && `${figure(result.probability)} on the model's own scale from 0 to 1; not a probability`],
    ["Threshold", result && figure(result.threshold)],
    ["Subtype", subtype && `${subtype.label.toLowerCase()} (experimental)`],
    ["Priority", image.priority],
    ["Received", clock(image.received_at)],
    ["Finished", image.finished_at && `${clock(image.finished_at)}, took ${duration((Date.parse(image.finished_at) - Date.parse(image.received_at)) / 1000)}`],
    ["Model", result?.model.version],
    ["Weights", result && `SHA-256 ${result.model.sha256}`],
    ["Preprocessing", result?.model.preprocessing],
    ["Id", image.id],
  ];
  const known = rows.filter(([, value]) => value);
  return el("dl", {}, ...known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
