// Elements from text, never from markup.

/**
 * An element with properties, attributes (`data-…`, `aria-…`, `class`) and children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} properties
 * @param {(Node | string | null | undefined | false)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name in element && typeof value !== "string") Object.assign(element, { [name]: value });
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) element.append(child);
  return element;
}

/** @typedef {keyof typeof SHAPES} Shape */

const SHAPES = {
  triangle: "M8 1.500 15 14H1z",
  square: "M2 2h12v12H2z",
  diamond: "M8 1l7 7-7 7-7-7z",
  dash: "M2 6.500h12v3H2z",
  ring: "M8 1.500a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zm0 2.500a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
  half: "M8 1.500a6.500 6.500 0 1 0 0 13zM8 1.500v2a4.500 4.500 0 0 1 0 9v2a6.500 6.500 0 0 0 0-13z",
};

/** A small shape; its meaning stands beside it in words. @param {Shape} name */
export function shape(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[name]);
  path.setAttribute("fill", "currentColor");
  svg.append(path);
  return svg;
}

/**
 * The element of an id in the page's own markup, which must have it.
 * @template {HTMLElement} [Kind=HTMLElement]
 * @param {string} id
 * @param {new () => Kind} [kind]
 * @returns {Kind}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!element || (kind && !(element instanceof kind))) throw new Error(`The page has no such element: ${id}.`);
  return /** @type {Kind} */ (element);
}
