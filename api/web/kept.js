// Whether a verdict was kept whose answer was lost.

import * as api from "./api.js";
import { session } from "./session.js";

/** @import { VerdictBody, VerdictItem, VerdictMark } from "./types.js" */

/** How long until it is asked again, in ms. */
const AGAIN = 2_000;

/**
 * The verdict of this page's reader as it was kept, null where it was not. Asked for until the server can be reached; throws what
 * does not pass.
 * @param {string} id of the image
 * @param {VerdictBody} verdict as it was given
 * @param {string | null} before the newest verdict that was known when it was given
 * @returns {Promise<VerdictMark | null>}
 */
export async function keptThough(id, verdict, before) {
  /** @param {VerdictItem} given */
  const same = (given) => given.reader === session().name && !given.withdrawn_at && given.opinion === verdict.opinion && (!verdict.label || given.label === verdict.label);
  for (;;) {
    try {
      const { items } = await api.verdicts(id);
      const kept = items.slice(items.findIndex((given) => given.id === before) + 1).findLast(same);
      return kept ? api.markOf(kept) : null;
    } catch (error) {
      if (!api.isPassing(error)) throw error;
      await new Promise((wake) => setTimeout(wake, AGAIN));
    }
  }
}
