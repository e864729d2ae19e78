// One image: the word first, then the picture, the heatmap on request, and everything needed to know how the result came
// about. What is shown, and in which order it comes; the parts are in modules of their own.

import { open } from "./address.js";
import * as api from "./api.js";
import { takeOut } from "./copy.js";
import { byId, el } from "./elements.js";
import { watch } from "./exposure.js";
import { resultElements } from "./facts.js";
import { filmOf } from "./film.js";
import { Geometry, back } from "./geometry.js";
import { gestures } from "./gestures.js";
import { headElements } from "./head.js";
import { showKeys } from "./keyhelp.js";
import { keyElement } from "./keymap.js";
import { listen } from "./keys.js";
import { Loupe } from "./loupe.js";
import { OpinionPanel } from "./opinion.js";
import { Pixels } from "./pixels.js";
import { PriorsPanel } from "./priors.js";
import { say } from "./said.js";
import { Pane } from "./stage.js";
import { Tools } from "./tools.js";
import { shortId } from "./words.js";

/** @import { ModelCard } from "./api.js" */
/** @import { Hands } from "./keys.js" */
/** @import { ImageItem } from "./types.js" */
/** @import { Worklist } from "./worklist.js" */

const STEP = 0.1;
/** How soon an image is asked for again whose result is withheld because the record cannot be read, in ms. */
const AGAIN = 5_000;
/** What a key zooms by, pans by (pixels), and windows by (shares of the range). */
const ZOOM = 1.25;
const PAN = 60;
const TONE = 0.02;
/** The measure of the time from the address that asks for an image to its painted picture. */
export const PAINTED = "image painted";
/** The mark of the time at which a heatmap was painted. */
const HEAT_PAINTED = "heatmap painted";

export class Viewer {
  /**
   * @param {Pick<Worklist, "neighbour" | "order">} list
   * @param {(id: string) => string | null} nameOf the file name of an own upload
   * @param {(id: string) => void} changed is called when what is known of an image has changed for its reader
   */
  constructor(list, nameOf, changed) {
    this.list = list;
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
    /** Until what was asked for last is there. @type {Promise<void>} */
    this.newest = Promise.resolve();
    /** @type {string[]} */
    this.urls = [];
    /** @type {ModelCard | null} */
    this.card = null;
    /** Which rendering of the image its reader has before their eyes; null while there is none. @type {string | null} */
    this.rendering = null;
    /** Whether the heatmap was decoded and painted, once asked for. @type {Promise<void> | null} */
    this.heating = null;
    this.heatPainted = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.heatOn = false;
    this.isBeside = false;
    this.inverted = false;
    /** Whether the image has the whole window: it stays from image to image. */
    this.isFull = false;
    /** What the first mouse button does: it stays from image to image. @type {"pan" | "window" | "measure"} */
    this.tool = "pan";
    this.geometry = new Geometry();
    this.pixels = new Pixels();
    this.loupe = new Loupe();
    this.frame = 0;
    this.shownAt = 0;
    /** Whether the next image is being looked for. */
    this.stepping = false;
    this.view = this.build();
    this.root.replaceChildren();
    listen(() => this.hands());
  }

  /** Shows an image. @param {string} id */
  show(id) {
    this.shownAt = performance.now();
    this.end();
    this.id = id;
    this.image = null;
    this.card = null;
    this.abort = new AbortController();
    this.view = this.build();
    this.fill();
    this.pixels.keep([id, ...this.near()]);
    this.reset();
    this.refresh();
    this.load(id);
    this.view.title.focus();
  }

  /** Nothing is shown, and nothing is kept. */
  close() {
    this.end();
    this.fill();
    this.pixels.keep([]);
  }

  /** Takes the rest of the page away while an image has the whole window. */
  fill() {
    document.documentElement.toggleAttribute("data-full", this.isFull && this.id !== null);
  }

  /** The image that is shown goes; those near it stay ready. */
  end() {
    this.abort.abort();
    for (const pane of [this.view.main, this.view.twin]) pane.end();
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.urls = [];
    this.root.replaceChildren();
    this.id = null;
    this.image = null;
    this.rendering = null;
    this.heating = null;
    this.heatPainted = false;
  }

  /** Asks for the image again, after an event; resolves when what was asked for last is there. */
  refresh() {
    this.newest = this.id ? this.ask(this.id) : Promise.resolve();
    return this.newest;
  }

  /** @param {string} id */
  async ask(id) {
    const turn = ++this.asked;
    try {
      const image = await api.image(id, this.abort.signal);
      if (id !== this.id) return;
      if (turn !== this.asked) return await this.newest;
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
      if (api.isAbort(error) || id !== this.id) return;
      if (turn !== this.asked) return await this.newest;
      this.draw(api.wordsOf(error));
      // The event that it was asked for is not told again.
      if (api.isPassing(error)) this.askAgain(id);
    }
  }

  /** Asks for an image again in a while, if it is still shown then. @param {string} id */
  askAgain(id) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { if (id === this.id) this.refresh(); }, AGAIN);
  }

  /** The elements of a view on an image, put into the page. */
  build() {
    const redraw = () => this.redraw();
    const main = new Pane("Chest X-ray", redraw);
    const twin = new Pane("Chest X-ray with the heatmap", redraw);
    const stage = el("div", { class: "stage", role: "group", tabindex: "0", "aria-label": "Picture: arrow keys pan, window or measure" });
    const view = {
      main, twin, stage,
      picture: main.picture,
      title: el("h1", { tabindex: "-1" }),
      absent: el("p", { role: "status" }, "Loading the picture…"),
      beside: el("figure", { class: "twin", hidden: true }, twin.element, el("figcaption", {}, "With what influenced the score")),
      tools: new Tools((action) => this.act(action), (place) => this.preset(place), redraw),
      heatWords: el("p", { class: "legend" }),
      said: el("p", { class: "said", role: "status" }),
      opinion: new OpinionPanel(() => this.displayed(), (id) => {
        this.changed(id);
        return id === this.id ? this.refresh() : undefined;
      }),
      priors: new PriorsPanel(this.abort.signal, this.pixels, redraw, (pane) => this.attach(pane)),
      facts: el("section", { class: "card facts", "aria-label": "Result" }),
    };
    main.element.append(this.loupe.element);
    for (const pane of [main, twin]) this.attach(pane);
    stage.append(main.element, view.absent, view.beside, view.priors.beside);
    this.root.replaceChildren(
      el("div", { class: "viewer-bar" },
        button("Back to the list", "Esc", () => open(null)), view.title,
        button("Previous", "K", () => this.step(-1)), button("Next", "J", () => this.step(1))),
      el("section", { "aria-label": "Picture" }, stage, view.tools.element,
        el("div", { class: "under" }, view.heatWords, view.said), main.measure.said, view.priors.element),
      el("div", { class: "side" }, view.opinion.element, view.facts));
    return view;
  }

  /** Has a pane moved by whoever points at it. All panes move together; each has a window of its own. @param {Pane} pane */
  attach(pane) {
    const moved = () => this.redraw();
    gestures(pane.element, {
      tool: () => this.tool,
      pan: (x, y) => { if (pane.size) this.geometry.pan(x, y, pane.size, pane.box); moved(); },
      zoom: (factor, at) => { if (pane.size) this.geometry.zoomBy(factor, pane.size, pane.box, at); moved(); },
      fit: (at) => this.fitOrExact(pane, at),
      tone: (x, y) => { pane.tone?.drag(x, y); moved(); },
      measure: (step, at) => {
        if (!pane.matrix) return;
        if (step === "begin") pane.measure.begin(back(pane.matrix, at));
        else if (step === "move") pane.measure.stretch(back(pane.matrix, at));
        else pane.measure.finish(pane.film?.about.spacing ?? null);
        moved();
      },
      hover: (at) => {
        pane.probe(at);
        if (pane !== this.view.main) return;
        this.loupe.at = at;
        if (this.loupe.isOn) moved();
      },
    });
  }

  /** Everything about the view exactly as it was at first. */
  reset() {
    this.heatOn = false;
    this.inverted = false;
    this.geometry.reset();
    for (const pane of this.panes()) {
      pane.tone?.choose(0);
      pane.measure.clear();
    }
    this.loupe.isOn = false;
    this.isBeside = false;
    this.view.tools.opacity.value = "0.7";
    this.redraw();
  }

  panes() {
    const { main, twin, priors } = this.view;
    return [main, twin, ...(priors.pane ? [priors.pane] : [])];
  }

  /** What keys are for. @returns {Hands} */
  hands() {
    const { main, stage, opinion } = this.view;
    return {
      isOpen: () => this.id !== null,
      stage,
      act: (action, event) => this.act(action, event.shiftKey ? -1 : 1),
      preset: (place) => this.preset(place),
      arrow: (right, down, { shiftKey }) => this.arrow(right, down, shiftKey ? 5 : 1),
      enter: () => {
        if (this.tool !== "measure") return false;
        main.measure.place(main.film?.about.spacing ?? null);
        this.redraw();
        return true;
      },
      other: (key) => opinion.press(key),
    };
  }

  /** Does what a key or a button is for. @param {string} action @param {number} [way] -1 the other way round */
  act(action, way = 1) {
    const { main, stage, tools, priors } = this.view;
    const { geometry } = this;
    const fade = (/** @type {number} */ by) => { tools.opacity.value = String(Number(tools.opacity.value) + by); };
    const zoom = (/** @type {number} */ by) => { if (main.size) geometry.zoomBy(by, main.size, main.box); };
    const take = (/** @type {"window" | "measure"} */ tool) => {
      this.tool = this.tool === tool ? "pan" : tool;
      if (this.tool === tool && !tools.element.contains(document.activeElement)) stage.focus({ preventScroll: true });
    };
    /** @type {Record<string, () => void>} */
    const actions = {
      back: () => open(null), next: () => this.step(1), previous: () => this.step(-1),
      window: () => take("window"), measure: () => take("measure"), unmeasure: () => main.measure.removeLast(),
      invert: () => { this.inverted = !this.inverted; },
      larger: () => zoom(ZOOM), smaller: () => zoom(1 / ZOOM), fit: () => geometry.fit(),
      exact: () => { if (main.size) geometry.zoomTo(1 / devicePixelRatio, main.size, main.box); },
      turn: () => geometry.turn(way), flip: () => geometry.flip(), flop: () => geometry.flop(),
      loupe: () => this.loupe.toggle(),
      heat: () => { if (this.hasHeat()) this.heatOn = !this.heatOn; },
      fainter: () => fade(-STEP), denser: () => fade(STEP),
      side: () => {
        if (this.isBeside) this.isBeside = false;
        else if (this.hasHeat() && !priors.chosen) [this.isBeside, this.heatOn] = [true, false];
        else priors.toggleNewest();
      },
      full: () => { this.isFull = !this.isFull; this.fill(); },
      reset: () => this.reset(), copy: () => this.take("clipboard"), save: () => this.take("file"), help: () => showKeys(),
    };
    actions[action]?.();
    if (this.id) this.redraw();
  }

  /** @param {number} place */
  preset(place) {
    this.view.main.tone?.choose(place);
    this.redraw();
  }

  /** Pans, windows or measures by keys. @param {number} right @param {number} down @param {number} times */
  arrow(right, down, times) {
    const { main } = this.view;
    if (!main.size || !main.matrix) return;
    if (this.tool === "window") main.tone?.drag(right * TONE * times, down * TONE * times);
    else if (this.tool === "measure") main.measure.step(right * times, down * times, main.matrix, { x: main.box.width / 2, y: main.box.height / 2 });
    else this.geometry.pan(-right * PAN * times, -down * PAN * times, main.size, main.box);
    this.redraw();
  }

  /** Between all of the image and one pixel on one. @param {Pane} pane @param {{ x: number, y: number }} at */
  fitOrExact(pane, at) {
    if (!pane.size) return;
    const { geometry } = this;
    const exact = 1 / devicePixelRatio / geometry.fitting(pane.size, pane.box);
    if (geometry.zoom === 1) geometry.zoomBy(exact, pane.size, pane.box, at);
    else geometry.fit();
    this.redraw();
  }

  /** Whether there is a heatmap that may be shown: below the threshold it would only mislead. */
  hasHeat() {
    return Boolean(this.image?.result?.heatmap && this.image.result.flagged);
  }

  /**
   * What a verdict was given by: only what was decoded and painted, and is on the screen.
   * @returns {{ displayed: string[], rendering: string | null }}
   */
  displayed() {
    const picture = this.rendering !== null && this.view.picture.checkVisibility() && document.visibilityState === "visible";
    const heat = (this.heatOn || this.isBeside) && this.heatPainted;
    const displayed = [picture && "picture", picture && heat && "heatmap", picture && this.inverted && "inverted"];
    return { displayed: displayed.filter((word) => word !== false), rendering: picture ? this.rendering : null };
  }

  /** The picture as soon as it is there, then all that the file has; then what is likely to be looked at next. @param {string} id */
  async load(id) {
    const { main, twin, absent } = this.view;
    const isGone = () => id !== this.id || main !== this.view.main;
    const show = async (/** @type {string | null} */ rendering) => {
      main.element.hidden = false;
      absent.hidden = true;
      this.redraw();
      await painted();
      if (isGone()) return;
      if (this.rendering === null) performance.measure(PAINTED, { start: this.shownAt });
      this.rendering = rendering;
    };
    /** @param {import("./film.js").Film} film */
    const put = (film) => {
      for (const pane of [main, twin]) {
        pane.show(film);
        if (pane === twin) pane.tone = main.tone;
      }
      return show(film.rendering);
    };
    const atHand = this.pixels.filmAtHand(id);
    // The picture of 8 bits would be decoded and drawn under it, and keep its reader waiting.
    if (atHand) await put(atHand);
    if (isGone()) return;
    const pictured = (async () => {
      const { url, rendering } = await this.pixels.picture(id);
      if (isGone()) return null;
      for (const pane of [main, twin]) pane.picture.src = url;
      await main.picture.decode();
      if (isGone()) return null;
      if (!main.film) await show(rendering);
      return rendering;
    })();
    // Told of below, where it is waited for.
    pictured.catch(() => {});
    try {
      const film = await this.pixels.film(id);
      if (!isGone() && main.film !== film) await put(film);
    } catch {
      // What was painted is what there is, and a picture that is not there either says why.
      const rendering = await pictured.catch(() => null);
      if (!isGone() && rendering !== null) await put(filmOf(main.picture, rendering));
    }
    try {
      await pictured;
    } catch (error) {
      if (api.isAbort(error) || isGone() || main.film) return;
      absent.textContent = error instanceof DOMException ? "What arrived is no picture that can be shown." : api.wordsOf(error);
    }
    if (!isGone()) this.pixels.ahead(this.near());
  }

  /** The heatmap, into both panes. */
  async loadHeat() {
    const { id } = this;
    const model = this.image?.result?.model.sha256;
    const { main, twin, heatWords } = this.view;
    if (!id || !model) return;
    try {
      const { url } = await api.png(id, "heatmap", this.abort.signal);
      this.urls.push(url);
      for (const pane of [main, twin]) pane.heat.src = url;
      await main.heat.decode();
      await painted();
      if (id !== this.id || main !== this.view.main) return;
      performance.mark(HEAT_PAINTED);
      this.heatPainted = true;
      for (const pane of [main, twin]) watch(pane.cover, id, model, "heatmap");
    } catch (error) {
      if (api.isAbort(error) || id !== this.id) return;
      heatWords.textContent = error instanceof DOMException ? "What arrived is no picture that can be shown." : api.wordsOf(error);
      main.heat.removeAttribute("src");
    }
  }

  /** Saves or copies the picture. @param {"file" | "clipboard"} to */
  async take(to) {
    const { main, said, tools } = this.view;
    const { id, image } = this;
    if (!image || !main.film) return;
    const heat = this.heatOn && this.heatPainted;
    try {
      const words = await takeOut(to, main, this.geometry, image, heat, Number(tools.opacity.value));
      if (id === this.id) said.textContent = words;
    } catch (error) {
      if (id === this.id) said.textContent = `Nothing was taken: ${api.wordsOf(error)}`;
    }
  }

  /** Draws soon what has changed, once however much has. */
  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (this.id) this.drawLayers();
    });
  }

  drawLayers() {
    const { main, twin, beside, tools, stage, priors } = this.view;
    if (!this.hasHeat()) this.heatOn = this.isBeside = false;
    if ((this.heatOn || this.isBeside) && !this.heating) this.heating = this.loadHeat();
    main.heat.hidden = main.cover.hidden = !this.heatOn;
    twin.heat.hidden = twin.cover.hidden = !this.isBeside;
    beside.hidden = twin.element.hidden = !this.isBeside || main.element.hidden;
    stage.dataset.tool = this.tool;
    stage.dataset.zoomed = String(this.geometry.zoom > 1);
    for (const pane of [main, twin]) {
      pane.heat.style.opacity = tools.opacity.value;
      pane.picture.classList.toggle("inverted", this.inverted);
      if (pane.tone && pane.tone.inverted !== this.inverted) pane.tone.invert();
    }
    for (const pane of this.panes()) if (!pane.element.hidden) pane.draw(this.geometry);
    this.loupe.draw(main);
    tools.draw({
      tone: main.tone, tool: this.tool, inverted: this.inverted, heatOn: this.heatOn, hasHeat: this.hasHeat(), isBeside: this.isBeside || priors.chosen !== null,
      canBeside: this.hasHeat() || priors.items.length > 0, loupeOn: this.loupe.isOn, isFull: this.isFull, canCopy: Boolean(main.film && this.image),
    });
    this.drawLegend();
  }

  drawLegend() {
    const { heatWords } = this.view;
    const isOn = this.heatOn || this.isBeside;
    const words = isOn ? "more: what influenced the score, not a lesion outline" : this.heatNote();
    if (heatWords.dataset.words === words) return;
    heatWords.dataset.words = words;
    if (isOn) heatWords.replaceChildren("less", el("span", { class: "ramp", "aria-hidden": "true" }), words);
    else heatWords.replaceChildren(words);
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
    this.view.title.replaceChildren(...headElements(this.id, image, this.nameOf(this.id)));
    // No name: titles stay in the history of the browser.
    document.title = `Image ${shortId(this.id)} · Lobar`;
    this.view.facts.replaceChildren(...(fault ? [el("p", { class: "fault", role: "alert" }, fault)] : []), ...(image ? resultElements(image, this.card) : []));
    this.view.opinion.draw(image);
    this.drawLayers();
  }

  /** The images that are likely to be opened next: the one after this one first. */
  near() {
    const order = this.list.order();
    const place = this.id ? order.indexOf(this.id) : -1;
    return place < 0 ? [] : [order[place + 1], order[place - 1]].filter((id) => id !== undefined);
  }

  /** Opens the image so many places further in the list. @param {number} by */
  async step(by) {
    const id = this.id;
    if (!id || this.stepping) return;
    this.stepping = true;
    try {
      const next = await this.list.neighbour(id, by, this.image);
      if (id !== this.id) return;
      if (next) open(next);
      else say(by > 0 ? "This is the last image in the list." : "This is the first image in the list.");
    } catch (error) {
      say(api.wordsOf(error));
    } finally {
      this.stepping = false;
    }
  }
}

/** A button with its key beside it. @param {string} words @param {string} key @param {() => void} does */
const button = (words, key, does) => el("button", { type: "button", onclick: does }, words, " ", keyElement(key));

/** Resolves when what the page holds now has been painted. A page in the background paints nothing, and waits. */
async function painted() {
  for (let frame = 0; frame < 2; frame += 1) await new Promise((next) => requestAnimationFrame(next));
}
