// Paints films by WebGL2: samples stay on the graphics processor, and a window is a small table beside them.

/** @import { Film } from "./film.js" */
/** @import { Matrix } from "./geometry.js" */

const VERTICES = `#version 300 es
void main() { gl_Position = vec4(vec2((gl_VertexID << 1) & 2, gl_VertexID & 2) * 2.0 - 1.0, 0.0, 1.0); }`;

/** As `sampled` of processor.js: values are averaged, never greys. */
const FRAGMENTS = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D film;
uniform sampler2D greys;
uniform ivec2 size;
uniform mat3 back;
uniform float stride;
uniform float top;
uniform int across;
out vec4 colour;
float at(ivec2 place) { return float(texelFetch(film, clamp(place, ivec2(0), size - 1), 0).r); }
void main() {
  vec2 place = (back * vec3(gl_FragCoord.x, top - gl_FragCoord.y, 1.0)).xy;
  if (any(lessThan(place, vec2(0.0))) || any(greaterThanEqual(place, vec2(size)))) { colour = vec4(0.0); return; }
  float value = 0.0;
  if (across == 1) {
    vec2 corner = place - 0.5;
    ivec2 first = ivec2(floor(corner));
    vec2 share = corner - floor(corner);
    float upper = mix(at(first), at(first + ivec2(1, 0)), share.x);
    float lower = mix(at(first + ivec2(0, 1)), at(first + 1), share.x);
    value = mix(upper, lower, share.y);
  } else {
    float part = stride / float(across);
    vec2 first = place - stride * 0.5 + part * 0.5;
    for (int y = 0; y < across; y += 1) {
      for (int x = 0; x < across; x += 1) value += at(ivec2(floor(first + part * vec2(x, y))));
    }
    value /= float(across * across);
  }
  int index = int(value + 0.5);
  colour = vec4(vec3(texelFetch(greys, ivec2(index & 255, index >> 8), 0).r), 1.0);
}`;

/** Samples a side that are averaged for one pixel of the screen, at most. */
export const ACROSS = 8;

/** A painter, or null where there is no WebGL2. */
export function gpu() {
  const canvas = document.createElement("canvas");
  const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, depth: false, premultipliedAlpha: true });
  const program = gl && build(gl);
  return gl && program ? new Gpu(canvas, gl, program) : null;
}

/** @param {WebGL2RenderingContext} gl */
function build(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of /** @type {const} */ ([[gl.VERTEX_SHADER, VERTICES], [gl.FRAGMENT_SHADER, FRAGMENTS]])) {
    const shader = gl.createShader(kind);
    if (!shader) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}

class Gpu {
  /** @param {HTMLCanvasElement} canvas @param {WebGL2RenderingContext} gl @param {WebGLProgram} program */
  constructor(canvas, gl, program) {
    this.canvas = canvas;
    this.gl = gl;
    this.largest = /** @type {number} */ (gl.getParameter(gl.MAX_TEXTURE_SIZE));
    /** @type {Map<Film, WebGLTexture>} */
    this.films = new Map();
    /** What the table on the processor was made of. @type {Uint8Array | null} */
    this.greys = null;
    gl.useProgram(program);
    const place = (/** @type {string} */ name) => gl.getUniformLocation(program, name);
    this.places = { size: place("size"), back: place("back"), stride: place("stride"), top: place("top"), across: place("across") };
    gl.uniform1i(place("film"), 0);
    gl.uniform1i(place("greys"), 1);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.table = this.texture(1);
  }

  /** A texture that is read as it is, bound to a unit. @param {number} unit */
  texture(unit) {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    return texture;
  }

  /** Whether it can paint now, and this film. @param {Film} film */
  takes(film) {
    return !this.gl.isContextLost() && Math.max(film.width, film.height) <= this.largest;
  }

  /** Brings a film to the processor, before it is painted first. @param {Film} film */
  load(film) {
    const { gl } = this;
    const known = this.films.get(film);
    if (known) {
      gl.activeTexture(gl.TEXTURE0);
      gl.bindTexture(gl.TEXTURE_2D, known);
      return;
    }
    const texture = this.texture(0);
    const deep = film.samples.BYTES_PER_ELEMENT === 2;
    gl.texImage2D(gl.TEXTURE_2D, 0, deep ? gl.R16UI : gl.R8UI, film.width, film.height, 0, gl.RED_INTEGER, deep ? gl.UNSIGNED_SHORT : gl.UNSIGNED_BYTE, film.samples);
    this.films.set(film, texture);
  }

  /** @param {Film} film */
  forget(film) {
    const texture = this.films.get(film);
    if (texture) this.gl.deleteTexture(texture);
    this.films.delete(film);
  }

  /**
   * Paints a film over the whole of a canvas.
   * @param {CanvasRenderingContext2D} into @param {Film} film @param {Uint8Array} greys @param {Matrix} matrix to pixels of the canvas
   */
  paint(into, film, greys, matrix) {
    const { gl, canvas, places } = this;
    const { width, height } = into.canvas;
    if (canvas.width < width || canvas.height < height) {
      canvas.width = Math.max(canvas.width, width);
      canvas.height = Math.max(canvas.height, height);
    }
    this.load(film);
    if (this.greys !== greys) {
      gl.activeTexture(gl.TEXTURE1);
      gl.bindTexture(gl.TEXTURE_2D, this.table);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, 256, greys.length / 256, 0, gl.RED, gl.UNSIGNED_BYTE, greys);
      this.greys = greys;
    }
    const { a, b, c, d, e, f, scale } = matrix;
    const area = a * d - b * c;
    gl.uniform2i(places.size, film.width, film.height);
    gl.uniformMatrix3fv(places.back, false, [d / area, -b / area, 0, -c / area, a / area, 0, (c * f - d * e) / area, (b * e - a * f) / area, 1]);
    gl.uniform1f(places.stride, 1 / scale);
    gl.uniform1f(places.top, canvas.height);
    gl.uniform1i(places.across, Math.min(ACROSS, Math.max(1, Math.ceil(1 / scale - 1e-6))));
    gl.viewport(0, canvas.height - height, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    into.clearRect(0, 0, width, height);
    into.drawImage(canvas, 0, 0, width, height, 0, 0, width, height);
  }
}
