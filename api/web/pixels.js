// Pictures and films of the images that are shown, and of those that come next: asked for ahead, kept while they are near.

import * as api from "./api.js";
import { readFilm } from "./film.js";
import { forget, load } from "./painter.js";

/** @import { Film } from "./film.js" */

/** What is known of one image's pixels. Each is asked for once. */
class Entry {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    this.abort = new AbortController();
    /** @type {Promise<{ url: string, rendering: string | null }> | null} */
    this.pictured = null;
    /** @type {Promise<Film> | null} */
    this.filmed = null;
    /** @type {Film | null} */
    this.film = null;
  }

  /** @param {boolean} ahead */
  picture(ahead) {
    this.pictured ??= api.png(this.id, "picture", this.abort.signal, ahead).then((got) => {
      if (this.abort.signal.aborted) URL.revokeObjectURL(got.url);
      this.abort.signal.throwIfAborted();
      return got;
    }).catch((error) => {
      this.pictured = null;
      throw error;
    });
    return this.pictured;
  }

  /** @param {boolean} ahead */
  full(ahead) {
    this.filmed ??= api.pixels(this.id, this.abort.signal, ahead).then(async ({ bytes, rendering }) => {
      const film = await readFilm(bytes, rendering);
      this.abort.signal.throwIfAborted();
      this.film = film;
      load(film);
      return film;
    }).catch((error) => {
      this.filmed = null;
      throw error;
    });
    return this.filmed;
  }

  end() {
    this.abort.abort();
    this.pictured?.then(({ url }) => URL.revokeObjectURL(url), () => {});
    if (this.film) forget(this.film);
    this.film = null;
  }
}

export class Pixels {
  constructor() {
    /** @type {Map<string, Entry>} */
    this.kept = new Map();
  }

  /** @param {string} id */
  entry(id) {
    const entry = this.kept.get(id) ?? new Entry(id);
    this.kept.set(id, entry);
    return entry;
  }

  /** The picture of 8 bits as an object URL, which stays this one's, and which rendering it is. @param {string} id */
  picture(id) {
    return this.entry(id).picture(false);
  }

  /** The image at full depth, where it has come already. @param {string} id */
  filmAtHand(id) {
    return this.kept.get(id)?.film ?? null;
  }

  /** The image at full depth. @param {string} id */
  film(id) {
    return this.entry(id).full(false);
  }

  /** Asks for images that may be wanted next, one after the other; whoever looks at one of them does not wait. @param {string[]} ids */
  async ahead(ids) {
    for (const id of ids) {
      const entry = this.entry(id);
      try {
        await entry.picture(true);
        await entry.full(true);
      } catch {
        // Whoever opens it asks again, and is told.
      }
    }
  }

  /** Only of these anything is kept. @param {string[]} ids */
  keep(ids) {
    for (const [id, entry] of this.kept) {
      if (ids.includes(id)) continue;
      entry.end();
      this.kept.delete(id);
    }
  }
}
