// A picture that leaves the page: the whole image in the window that is chosen, with whose it is, and that it is not for
// diagnostic use, burnt in. It is on record before it is made.

import * as api from "./api.js";
import { el } from "./elements.js";
import { Geometry } from "./geometry.js";
import { patientLine } from "./head.js";
import { paint } from "./painter.js";
import { shortId } from "./words.js";

/** @import { Geometry as State } from "./geometry.js" */
/** @import { Pane } from "./stage.js" */
/** @import { ImageItem } from "./types.js" */

/** The longest side of a picture that is made, and the shortest that has room for words. */
const LONGEST = 4096;
const NARROWEST = 640;
const WARNING = "NOT FOR DIAGNOSTIC USE";

/** What is written on it: above, and below. @param {ImageItem} image @param {string} windowed @param {boolean} heat */
function words(image, windowed, heat) {
  const unread = image.identity_unavailable ? "Whose it is cannot be read at the moment" : "Patient not known";
  const place = [`Image ${image.id}`, image.site && `site ${image.site}`, image.study?.accession && `accession ${image.study.accession}`, image.instance?.view_position];
  const kind = heat ? "with a heatmap of what influenced the score, not a lesion outline" : null;
  return {
    above: [patientLine(image) ?? unread, place.filter(Boolean).join(" · ")],
    below: [WARNING, [windowed, kind, "Lobar"].filter(Boolean).join(" · ")],
  };
}

/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
function contextOf(canvas) {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser draws nothing.");
  return context;
}

/**
 * The picture.
 * @param {Pane} pane @param {State} state how it is turned @param {ImageItem} image @param {boolean} heat @param {number} opacity
 * @returns {Promise<Blob>}
 */
async function pictureOf({ film, tone, heat: layer }, state, image, heat, opacity) {
  if (!film || !tone) throw new Error("The picture is not there yet.");
  const turned = state.turns % 2 ? { width: film.height, height: film.width } : { width: film.width, height: film.height };
  const scale = Math.min(1, LONGEST / Math.max(turned.width, turned.height));
  const [width, height] = [Math.max(1, Math.round(turned.width * scale)), Math.max(1, Math.round(turned.height * scale))];
  const whole = Object.assign(new Geometry(), { turns: state.turns, mirrored: state.mirrored });
  const matrix = whole.matrix(film, { width, height });
  const inner = el("canvas", { width, height });
  paint(contextOf(inner), film, tone.lookup(), matrix);
  const outer = el("canvas", { width: Math.max(NARROWEST, width) });
  const letter = Math.round(Math.max(16, outer.width / 60));
  const line = Math.round(letter * 1.5);
  const band = 2 * line + letter;
  outer.height = height + 2 * band;
  const context = contextOf(outer);
  context.fillStyle = "#000";
  context.fillRect(0, 0, outer.width, outer.height);
  const left = Math.floor((outer.width - width) / 2);
  context.drawImage(inner, left, band);
  if (heat) {
    const { a, b, c, d, e, f } = matrix;
    context.save();
    context.setTransform(a, b, c, d, e + left, f + band);
    context.globalAlpha = opacity;
    context.drawImage(layer, 0, 0, film.width, film.height);
    context.restore();
  }
  const said = words(image, tone.words(), heat);
  context.textBaseline = "top";
  [said.above, said.below].forEach((lines, part) => lines.forEach((text, place) => {
    context.font = `${text === WARNING || part === 0 ? "bold " : ""}${letter}px system-ui, sans-serif`;
    context.fillStyle = text === WARNING ? "#ffc96b" : "#fff";
    const top = part === 0 ? letter / 2 : band + height + letter / 2;
    context.fillText(text, letter, top + place * line, outer.width - 2 * letter);
  }));
  return new Promise((done, failed) => {
    outer.toBlob((blob) => { if (blob) done(blob); else failed(new Error("The picture could not be made.")); }, "image/png");
  });
}

/**
 * Saves or copies what is shown; answers what was done in words.
 * @param {"file" | "clipboard"} to @param {Pane} pane @param {State} state @param {ImageItem} image @param {boolean} heat @param {number} opacity
 */
export async function takeOut(to, pane, state, image, heat, opacity) {
  const made = async () => {
    await api.copied(image.id, { to, heatmap: heat });
    return pictureOf(pane, state, image, heat, opacity);
  };
  if (to === "clipboard") {
    // Asked for within the key or click that wanted it; what is not on record is not made.
    await navigator.clipboard.write([new ClipboardItem({ "image/png": made() })]);
    return "Copied. It is on record.";
  }
  const url = URL.createObjectURL(await made());
  el("a", { href: url, download: `lobar-${shortId(image.id)}.png` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return "Saved. It is on record.";
}
