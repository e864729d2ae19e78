// The head of an image: whose it is, again, and which one.

import { el } from "./elements.js";
import { particulars, who } from "./patient.js";
import { warnedElement } from "./rows.js";
import { clock, shortId } from "./words.js";

/** @import { ImageItem } from "./types.js" */

/** Whom an image shows, on one line; null where nobody said. @param {ImageItem | null} image */
export const patientLine = (image) => (image?.patient ? [who(image.patient), particulars(image)].filter(Boolean).join(" · ") : null);

/**
 * What stands in the title.
 * @param {string} id @param {ImageItem | null} image @param {string | null} name of an own file
 * @returns {(Node | string)[]}
 */
export function headElements(id, image, name) {
  const patient = patientLine(image);
  const unread = image?.identity_unavailable ? "whose it is cannot be read at the moment" : null;
  const place = [unread, patient && `image ${shortId(id)}`, name, image?.site && `site ${image.site}`, image && `received ${clock(image.received_at)}`];
  const warned = image ? warnedElement(image) : null;
  return [patient ?? `Image ${shortId(id)}`, el("small", {}, place.filter(Boolean).join(" · ")), ...(warned ? [warned] : [])];
}
