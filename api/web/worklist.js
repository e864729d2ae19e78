// The live list. Rows keep their places: what is new waits behind a bar until it is asked for, and
// only cells of shown rows change by themselves. Images uploaded on this page, which its user has
// just asked for, come in by themselves unless somebody is in the list, or on the way to it.

import * as api from "./api.js";
import { byId } from "./elements.js";
import { filter, isNarrow, isSearch, matcher } from "./filters.js";
import { isAmong, precedes } from "./order.js";
import { PAGE, firstImages, furtherImages } from "./pages.js";
import { keepPlace, keepPlaceSoon, keptPlace } from "./place.js";
import { pointer } from "./pointer.js";
import { may } from "./session.js";
import { Row, Table } from "./table.js";
import { number } from "./words.js";

/** @import { Place } from "./place.js" */
/** @import { ImageItem, ImagePage } from "./types.js" */

const GATHER = 60;
const PAUSE = 400;
const RETRY = 2000;
const AGAIN = 5000;
const AT_ONCE = 4;
const REMEMBERED = 5000;

export class Worklist {
  constructor() {
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    /** @type {Set<string>} */
    this.own = new Set();
    /** @type {Set<string>} */
    this.announced = new Set();
    /** @type {Set<string>} */
    this.touched = new Set();
    this.total = 0;
    this.expected = 0;
    /** @type {string | null} */
    this.next = null;
    this.news = 0;
    // One piece of work at a time: an older answer never overwrites a newer one.
    /** @type {Promise<unknown>} */
    this.work = Promise.resolve();
    /** @type {number | null} */
    this.timer = null;
    this.place = byId("table");
    this.isLoadingMore = false;
    this.table = new Table(() => this.loadMore().catch(() => {}));
    /** Whether the rows are known to be others than the server has now. */
    this.changed = false;
    byId("news").addEventListener("click", () => this.load());
    byId("more").addEventListener("click", () => this.loadMore());
    addEventListener("scroll", () => keepPlaceSoon(() => this.here()), { passive: true });
    // No event tells when the record of exposures can be read again.
    setInterval(() => this.rows.forEach(({ image }) => { if (image.withheld === "record_unavailable") this.renewRow(image.id); }), AGAIN);
  }

  /** Nothing of any image is known any more. */
  forget() {
    this.rows.clear();
    for (const known of [this.own, this.announced, this.touched]) known.clear();
    this.table.show([], 0);
  }

  /** Ids of the loaded rows, in their order. */
  order() {
    return [...this.rows.values()].map((row) => row.image.id);
  }

  /**
   * The image so many places further in the list, of which more is loaded where it ends; null where there is none. From an
   * image that is not in the list it leads to those next to where that one would stand.
   * @param {string} id
   * @param {number} by
   * @param {ImageItem | null} image what is known of it
   * @returns {Promise<string | null>}
   */
  async neighbour(id, by, image) {
    const loaded = [...this.rows.keys()];
    const place = loaded.indexOf(id);
    // What the rows tell already does not wait for what is asked of the server meanwhile.
    const next = place >= 0 ? loaded[place + by] : undefined;
    if (next) return next;
    await this.work;
    for (;;) {
      const shown = [...this.rows.values()];
      const at = shown.findIndex((row) => row.image.id === id);
      if (at < 0 && !image) return null;
      const after = at < 0 && image ? shown.findIndex((row) => precedes(image, row.image)) : -1;
      const beside = after < 0 ? shown.length : after;
      const target = at >= 0 ? at + by : by > 0 ? beside : beside - 1;
      const isCertain = at >= 0 ? target < shown.length : after >= 0;
      if (isCertain || !this.next) return shown[target]?.image.id ?? null;
      await this.loadMore(true);
    }
  }

  /** Whether somebody points into the list, or has the focus in it: then nothing in it moves. */
  isOccupied() {
    return this.rows.size > 0 && (pointer.isIn(this.place) || this.place.contains(document.activeElement));
  }

  /** Where somebody is in the list; null while it is not on the screen. @returns {Omit<Place, "query"> | null} */
  here() {
    if (!this.place.checkVisibility()) return null;
    const { first } = this.table.inWindow();
    const id = first > 0 ? this.table.rows[first]?.image.id ?? null : null;
    return { loaded: this.rows.size, id, offset: id ? this.table.offsetOf(id) ?? 0 : 0 };
  }

  keep() {
    const here = this.here();
    if (here) keepPlace(here);
  }

  /** Rows have another height; what is in sight stays there. */
  resized() {
    const here = this.here();
    this.table.resized();
    this.goTo(here);
  }

  /** The list is on the screen again; the image that was open has the focus. @param {string | null} id */
  reveal(id) {
    this.table.resized();
    this.table.draw();
    if (id) this.table.focus(id);
  }

  /** Loads the list anew, as its user asked; resolves to the position after which events may be missing from it. */
  load() {
    return this.inOrder(async () => {
      const place = keptPlace();
      const position = this.replace(await firstImages(filter(), place?.loaded ?? PAGE));
      if (place) this.goTo(place);
      else if (this.place.checkVisibility()) scrollTo(0, 0);
      return position;
    });
  }

  /**
   * The same, where nobody asked: while somebody is in the list its rows keep their places, and the bar says that the list
   * has changed.
   */
  renew() {
    return this.inOrder(async () => {
      const isFirst = this.rows.size === 0;
      const loaded = isFirst ? keptPlace()?.loaded ?? PAGE : this.rows.size;
      const page = await firstImages(filter(), loaded);
      if (!this.isOccupied()) {
        const place = isFirst ? keptPlace() : this.here();
        const position = this.replace(page);
        this.goTo(place);
        return position;
      }
      const shown = [...this.rows.keys()];
      const fresh = new Map(page.items.map((image) => [image.id, image]));
      this.changed = page.total !== this.total || page.items.some((image, place) => image.id !== shown[place]);
      for (const [id, row] of this.rows) {
        const image = fresh.get(id);
        if (image) row.draw(image);
        else this.touched.add(id);
      }
      this.draw();
      this.schedule(GATHER);
      return page.last_event;
    });
  }

  /** Scrolls to a place of the list, if that is on the screen. @param {Omit<Place, "query"> | null} place */
  goTo(place) {
    if (!place || !this.place.checkVisibility()) return;
    if (place.id && this.rows.has(place.id)) this.table.scrollTo(place.id, place.offset);
  }

  /** @param {ImagePage} page */
  replace(page) {
    this.rows = new Map(page.items.map((image) => [image.id, new Row(image)]));
    Object.assign(this, { next: page.next, total: page.total, expected: page.total, news: 0, changed: false });
    byId("statement").textContent = page.statement_of_use;
    pointer.rearranged();
    this.draw();
    return page.last_event;
  }

  /** @param {boolean} [many] whether somebody wants to get far */
  async loadMore(many = false) {
    if (this.isLoadingMore || !this.next) return this.work;
    this.isLoadingMore = true;
    try {
      return await this.inOrder(async () => {
        if (!this.next) return;
        const page = await furtherImages(filter(), this.next, many || this.rows.size > PAGE * 3);
        for (const image of page.items) if (!this.rows.has(image.id)) this.rows.set(image.id, new Row(image));
        pointer.rearranged();
        Object.assign(this, { next: page.next, total: page.total });
        this.draw();
        this.keep();
      });
    } finally {
      this.isLoadingMore = false;
    }
  }

  /** A shown image is another for this reader, of which no event tells. @param {string} id */
  renewRow(id) {
    if (!this.rows.has(id)) return;
    this.touched.add(id);
    this.schedule(GATHER);
  }

  forgetOldest() {
    const [oldest] = this.announced;
    if (oldest) this.announced.delete(oldest);
  }

  /** An event says that an image has changed, or is new. @param {string} id */
  touch(id) {
    this.announced.add(id);
    if (this.announced.size > REMEMBERED) this.forgetOldest();
    this.touched.add(id);
    this.schedule(GATHER);
  }

  /** An image was uploaded on this page. Its event may have come before the upload's answer. @param {string} id */
  addOwn(id) {
    this.own.add(id);
    if (this.announced.has(id)) this.touch(id);
  }

  /** @param {number} delay */
  schedule(delay) {
    this.timer ??= setTimeout(() => {
      const pause = () => { this.timer = null; if (this.touched.size) this.schedule(0); };
      this.refresh().then(() => setTimeout(pause, PAUSE), () => setTimeout(pause, RETRY));
    }, delay);
  }

  refresh() {
    return this.inOrder(async () => {
      const ids = [...this.touched];
      this.touched.clear();
      try {
        const page = await api.list(filter(), null, PAGE);
        const listed = new Set(page.items.map(({ id }) => id));
        const fresh = new Map(page.items.map((image) => [image.id, image]));
        const wanted = ids.filter((id) => !fresh.has(id) && (this.rows.has(id) || this.own.has(id)));
        for (const image of await each(wanted, (id) => api.image(id))) {
          if (image) fresh.set(image.id, image);
        }
        const wasEmpty = this.rows.size === 0;
        const matches = matcher();
        this.total = page.total;
        for (const image of fresh.values()) this.show(image, wasEmpty, matches(image) && (!isSearch() || listed.has(image.id)));
        this.news = page.items.filter((image) => !this.rows.has(image.id) && this.isNewer(image)).length;
        if (wasEmpty) Object.assign(this, { next: page.next, expected: page.total });
        this.draw();
      } catch (error) {
        ids.forEach((id) => this.touched.add(id));
        throw error;
      }
    });
  }

  /**
   * Draws a shown image in place; lets in one that was uploaded here, or any into an empty list.
   * @param {ImageItem} image
   * @param {boolean} wasEmpty
   * @param {boolean} belongs whether it is among what the filter shows
   */
  show(image, wasEmpty, belongs) {
    const row = this.rows.get(image.id);
    if (row) return row.draw(image);
    const welcome = wasEmpty || (this.own.has(image.id) && !this.isOccupied());
    if (!welcome || !belongs) return undefined;
    if (!wasEmpty && pointer.isOnItsWay()) {
      // Its user has seen where the rows are and goes to one of them: in a moment.
      this.touched.add(image.id);
      return undefined;
    }
    const entries = [...this.rows.values(), new Row(image)].toSorted((a, b) => (precedes(a.image, b.image) ? -1 : 1));
    this.rows = new Map(entries.map((entry) => [entry.image.id, entry]));
    if (!wasEmpty) this.expected += 1;
    pointer.rearranged();
    return undefined;
  }

  /** @param {ImageItem} image */
  isNewer(image) {
    return isAmong(image, [...this.rows.values()].map((row) => row.image)) || this.own.has(image.id);
  }

  draw() {
    const shown = [...this.rows.values()];
    const matches = matcher();
    const matching = shown.filter((row) => matches(row.image)).length;
    const past = shown.length - matching;
    this.table.show(shown, this.total + past);
    const count = byId("count");
    const words = `Showing ${number(matching)} of ${number(this.total)}` + (past ? `, and ${number(past)} that no longer match` : "");
    if (count.textContent !== words) count.textContent = count.title = words;
    byId("more").hidden = !this.next;
    const empty = byId("empty");
    empty.hidden = shown.length > 0;
    empty.textContent = isNarrow() ? "No image matches this filter." : `No image yet.${may("upload") ? " Drop some anywhere on this page, or put them into the bucket with any S3 client." : ""}`;
    const bar = byId("news");
    const changed = this.changed || (isNarrow() && this.total !== this.expected);
    bar.hidden = !this.news && !changed;
    const fresh = this.news >= PAGE ? `${PAGE}+` : number(this.news);
    bar.textContent = this.news ? `${fresh} new: show` : "The list has changed: show";
  }

  /**
   * Does `task` after everything before it, and shows when it fails.
   * @template Result
   * @param {() => Promise<Result>} task
   */
  inOrder(task) {
    const done = this.work.then(task);
    const fault = byId("fault");
    this.work = done.then(() => { fault.hidden = true; }, (error) => {
      fault.textContent = `The list could not be loaded. ${api.wordsOf(error)}`;
      fault.hidden = false;
    });
    return done;
  }
}

/**
 * Asks for several things, a few at a time, in order.
 * @template Answer
 * @param {string[]} ids
 * @param {(id: string) => Promise<Answer>} ask
 */
async function each(ids, ask) {
  /** @type {Answer[]} */
  const answers = [];
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    answers.push(...await Promise.all(ids.slice(at, at + AT_ONCE).map(ask)));
  }
  return answers;
}
