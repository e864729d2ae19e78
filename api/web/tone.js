// How samples become grey: windows (PS3.3, C.11.2), by which a film is looked at.

/** @import { Film, WindowBody } from "./film.js" */

/** What the origins of windows are called. @type {Record<string, string>} */
const NAMES = { file: "As stored", spread: "Whole picture", dark: "Lungs", bright: "Mediastinum", range: "Full range" };
/** The narrowest window, in samples. */
const NARROWEST = 1;

/** What a window is called. @param {WindowBody} window */
export const windowName = (window) => window.explanation || (NAMES[window.origin] ?? window.origin);

/** @param {string} base64 */
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

/** The state of one film's window. */
export class Tone {
  /** @param {Film} film */
  constructor(film) {
    this.film = film;
    this.inverted = false;
    /** Grey of each sample, made when it is asked for. @type {Uint8Array | null} */
    this.greys = null;
    this.preset = 0;
    this.sigmoid = false;
    /** @type {Uint8Array | null} */
    this.table = null;
    this.center = 0;
    this.width = 1;
    this.choose(0);
  }

  /** One of the film's own windows; whether there is one. @param {number} place */
  choose(place) {
    const window = this.film.about.windows[place];
    if (!window) return false;
    this.preset = place;
    this.sigmoid = window.function === "sigmoid";
    this.table = window.function === "table" && window.table ? bytesOf(window.table) : null;
    const [black, white] = [window.black ?? 0, window.white ?? this.film.about.top];
    this.center = window.center ?? (black + white) / 2;
    this.width = window.width ?? white - black;
    this.greys = null;
    return true;
  }

  /** Moves the window by shares of the film's range: wider, and brighter. @param {number} wider @param {number} brighter */
  drag(wider, brighter) {
    const range = this.film.about.top;
    // A lookup table has no width: what is dragged is the straight line through its range.
    this.table = null;
    this.preset = -1;
    this.width = Math.min(4 * range, Math.max(NARROWEST, this.width + wider * range));
    this.center = Math.min(2 * range, Math.max(-range, this.center - brighter * range));
    this.greys = null;
  }

  invert() {
    this.inverted = !this.inverted;
    this.greys = null;
  }

  /** Grey, 0 to 255, before it is inverted. @param {number} sample */
  grey(sample) {
    if (this.table) return this.table[Math.min(sample, this.table.length - 1)];
    const share = this.sigmoid
      ? 1 / (1 + Math.exp((-4 * (sample - this.center)) / this.width))
      : (sample - this.center) / this.width + 0.5;
    return Math.floor(Math.min(1, Math.max(0, share)) * 255 + 0.5);
  }

  /** Grey of every sample that there can be: 256 or 65,536 of them. */
  lookup() {
    if (this.greys) return this.greys;
    const greys = new Uint8Array(this.film.samples.BYTES_PER_ELEMENT === 2 ? 65_536 : 256);
    for (let sample = 0; sample < greys.length; sample += 1) {
      const grey = this.grey(sample);
      greys[sample] = this.inverted ? 255 - grey : grey;
    }
    this.greys = greys;
    return greys;
  }

  /** Where it stands, in the file's own numbers. */
  words() {
    const { slope, intercept, windows } = this.film.about;
    const chosen = windows[this.preset];
    const name = chosen ? windowName(chosen) : "Own window";
    if (this.table) return name;
    // Center and width as the usual, linear function has them (PS3.3, C.11.2.1.2.1).
    const more = this.sigmoid ? 0 : 1;
    const width = Math.abs(this.width * slope) + more;
    const center = this.center * slope + intercept + more / 2;
    return `${name} · W ${plain(width)} C ${plain(center)}`;
  }
}

/** @param {number} value */
const plain = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));
