// Pixels at full depth, as the server sends them: a grey PNG of 8 or 16 bits, and what goes with it. Browsers read PNG into
// 8 bits, so it is read here.

/**
 * A window to look through. All figures are samples.
 * @typedef {object} WindowBody
 * @property {string} origin `file`, `spread`, `dark`, `bright` or `range`
 * @property {string | null} explanation what the file calls it
 * @property {string} function `linear`, `sigmoid` or `table`
 * @property {number | null} black of a linear one, what is just black
 * @property {number | null} white of a linear one, what is just white
 * @property {number | null} center of a sigmoid, middle grey
 * @property {number | null} width of a sigmoid
 * @property {string | null} table a byte of grey for each sample, in base64
 */

/**
 * Distances between the centres of pixels, mm.
 * @typedef {object} SpacingBody
 * @property {number} rows between rows
 * @property {number} columns between columns
 * @property {string} plane where they hold
 * @property {number | null} magnification how many times larger the patient is there
 */

/**
 * How samples are looked at and measured (docs/viewer.md).
 * @typedef {object} PixelsBody
 * @property {number} top the largest sample that is no mark on the film
 * @property {number} slope from samples to the file's own numbers
 * @property {number} intercept what sample 0 is there
 * @property {WindowBody[]} windows to choose from, the picture's first
 * @property {SpacingBody | null} spacing where the file says it
 * @property {string[] | null} orientation whither rows and columns run in the patient
 * @property {string | null} laterality the side of a paired part
 */

/**
 * An image at its full resolution and depth. More is brighter.
 * @typedef {object} Film
 * @property {number} width pixels a row
 * @property {number} height rows
 * @property {Uint8Array | Uint16Array} samples from the top left
 * @property {PixelsBody} about how they are looked at and measured
 * @property {string | null} rendering what the server calls it
 */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const KEYWORD = "Lobar";
/** For how long rows are read before the page may do something else, in ms. */
const SLICE = 12;

/** @param {string} words */
const broken = (words) => new DOMException(`The pixels cannot be read: ${words}.`, "DataError");

/**
 * The chunks of a PNG (ISO 15948, 5.3). Their checksums are the connection's business.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @yields {{ kind: string, data: Uint8Array<ArrayBuffer> }} each up to the last
 */
function* chunks(bytes) {
  if (SIGNATURE.some((byte, place) => bytes[place] !== byte)) throw broken("no PNG");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = SIGNATURE.length;
  while (at + 12 <= bytes.length) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.length) break;
    yield { kind, data: bytes.subarray(at + 8, at + 8 + length) };
    if (kind === "IEND") return;
    at += 12 + length;
  }
  throw broken("it is cut short");
}

/** What goes with the pixels, of an uncompressed `iTXt` chunk (11.3.4.5). @param {Uint8Array} data @returns {PixelsBody | null} */
function note(data) {
  const text = new TextDecoder();
  let at = data.indexOf(0);
  if (text.decode(data.subarray(0, at)) !== KEYWORD || data[at + 1] !== 0) return null;
  // Language and translated keyword, both ended by a zero.
  at = data.indexOf(0, data.indexOf(0, at + 3) + 1);
  return JSON.parse(text.decode(data.subarray(at + 1)));
}

/** @param {Uint8Array<ArrayBuffer>[]} parts */
async function inflate(parts) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Undoes the filter of a row in place (9.2).
 * @param {number} filter @param {Uint8Array} row @param {Uint8Array} above @param {number} step bytes a pixel
 */
function unfilter(filter, row, above, step) {
  switch (filter) {
    case 0: return;
    case 1:
      for (let i = step; i < row.length; i += 1) row[i] += row[i - step];
      return;
    case 2:
      for (let i = 0; i < row.length; i += 1) row[i] += above[i];
      return;
    case 3:
      for (let i = 0; i < row.length; i += 1) row[i] += ((i < step ? 0 : row[i - step]) + above[i]) >> 1;
      return;
    case 4:
      for (let i = 0; i < row.length; i += 1) {
        const [left, up, corner] = i < step ? [0, above[i], 0] : [row[i - step], above[i], above[i - step]];
        const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
        row[i] += a <= b && a <= c ? left : b <= c ? up : corner;
      }
      return;
    default: throw broken("a filter that there is not");
  }
}

/** Lets the page do what waits. */
const breathe = () => new Promise((next) => { setTimeout(next); });

/**
 * Reads what `/v1/images/{id}/pixels` answers.
 * @param {ArrayBuffer} answer @param {string | null} rendering
 * @returns {Promise<Film>}
 */
export async function readFilm(answer, rendering) {
  let [width, height, depth] = [0, 0, 0];
  /** @type {PixelsBody | null} */
  let about = null;
  const data = [];
  for (const { kind, data: part } of chunks(new Uint8Array(answer))) {
    if (kind === "IHDR") {
      const view = new DataView(part.buffer, part.byteOffset);
      [width, height, depth] = [view.getUint32(0), view.getUint32(4), part[8]];
      if (![8, 16].includes(depth) || part[9] !== 0 || part[12] !== 0) throw broken("no grey of 8 or 16 bits");
    } else if (kind === "iTXt") about = note(part) ?? about;
    else if (kind === "IDAT") data.push(part);
  }
  if (!about || !width || !height) throw broken("what goes with them is missing");
  const bytes = await inflate(data);
  const step = depth / 8;
  const length = width * step;
  if (bytes.length !== (length + 1) * height) throw broken("another number than it says");
  const samples = step === 2 ? new Uint16Array(width * height) : new Uint8Array(width * height);
  let above = new Uint8Array(length);
  let until = performance.now() + SLICE;
  for (let y = 0; y < height; y += 1) {
    const start = y * (length + 1);
    const row = bytes.subarray(start + 1, start + 1 + length);
    unfilter(bytes[start], row, above, step);
    const at = y * width;
    if (step === 1) samples.set(row, at);
    else for (let x = 0; x < width; x += 1) samples[at + x] = (row[2 * x] << 8) | row[2 * x + 1];
    above = row;
    if (performance.now() > until) {
      await breathe();
      until = performance.now() + SLICE;
    }
  }
  return { width, height, samples, about, rendering };
}

/**
 * The film of a picture that was painted: 8 bits, when the pixels themselves cannot be had.
 * @param {HTMLImageElement} picture @param {string | null} rendering
 * @returns {Film}
 */
export function filmOf(picture, rendering) {
  const [width, height] = [picture.naturalWidth, picture.naturalHeight];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw broken("this browser draws nothing");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const samples = new Uint8Array(width * height);
  for (let i = 0; i < samples.length; i += 1) samples[i] = data[4 * i];
  const window = { origin: "range", explanation: null, function: "linear", black: 0, white: 255, center: null, width: null, table: null };
  const about = { top: 255, slope: 1, intercept: 0, windows: [window], spacing: null, orientation: null, laterality: null };
  return { width, height, samples, about, rendering };
}
