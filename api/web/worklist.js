// The live list. Rows keep their places: what is new waits behind a bar until it is asked for, and
// only cells of shown rows change by themselves. Images uploaded on this page, which its user has
// just asked for, come in by themselves unless somebody is in the list, or on the way to it.

import * as api from "./api.js";
import { byId } from "./elements.js";
import { filter, isNarrow, matches } from "./filters.js";
import { pointer } from "./pointer.js";
import { Row } from "./rows.js";
import { number } from "./words.js";

/** @import { ImageItem, ImagePage } from "./types.js" */

const PAGE = 50;
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
    this.body = byId("rows");
    this.table = byId("table");
    /** Whether the rows are known to be others than the server has now. */
    this.changed = false;
    byId("news").addEventListener("click", () => this.load());
    byId("more").addEventListener("click", () => this.loadMore());
    setInterval(() => this.rows.forEach((row) => row.tick()), 1000);
    // No event tells when the record of exposures can be read again.
    setInterval(() => this.rows.forEach(({ image }) => { if (image.withheld === "record_unavailable") this.renewRow(image.id); }), AGAIN);
  }

  /** Nothing of any image is known any more. */
  forget() {
    this.rows.clear();
    for (const known of [this.own, this.announced, this.touched]) known.clear();
    this.body.replaceChildren();
  }

  /** Ids in the order shown. */
  order() {
    return [...this.rows.keys()];
  }

  /** Whether somebody points into the list, or has the focus in it: then nothing in it moves. */
  isOccupied() {
    return this.rows.size > 0 && (pointer.isIn(this.table) || this.table.contains(document.activeElement));
  }

  /** Loads the list anew, as its user asked; resolves to the position after which events may be missing from it. */
  load() {
    return this.inOrder(async () => this.replace(await api.list(filter(), null, PAGE)));
  }

  /**
   * The same, where nobody asked: while somebody is in the list its rows keep their places, each is asked for
   * anew, and the bar says that the list has changed.
   */
  renew() {
    return this.inOrder(async () => {
      const page = await api.list(filter(), null, PAGE);
      if (!this.isOccupied()) return this.replace(page);
      const shown = this.order();
      this.changed = page.total !== this.total || page.items.some((image, place) => image.id !== shown[place]);
      for (const id of this.rows.keys()) this.touched.add(id);
      this.draw();
      this.schedule(GATHER);
      return page.last_event;
    });
  }

  /** @param {ImagePage} page */
  replace(page) {
    this.rows.clear();
    for (const image of page.items) this.rows.set(image.id, new Row(image));
    this.body.replaceChildren(...[...this.rows.values()].map((row) => row.element));
    Object.assign(this, { next: page.next, total: page.total, expected: page.total, news: 0, changed: false });
    byId("statement").textContent = page.statement_of_use;
    pointer.rearranged();
    this.draw();
    return page.last_event;
  }

  loadMore() {
    return this.inOrder(async () => {
      if (!this.next) return;
      const page = await api.list(filter(), this.next, PAGE);
      for (const image of page.items) {
        if (this.rows.has(image.id)) continue;
        const row = new Row(image);
        this.rows.set(image.id, row);
        this.body.append(row.element);
      }
      pointer.rearranged();
      Object.assign(this, { next: page.next, total: page.total });
      this.draw();
    });
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
        const fresh = new Map(page.items.map((image) => [image.id, image]));
        const wanted = ids.filter((id) => !fresh.has(id) && (this.rows.has(id) || this.own.has(id)));
        for (const image of await each(wanted, (id) => api.image(id))) {
          if (image) fresh.set(image.id, image);
        }
        const wasEmpty = this.rows.size === 0;
        this.total = page.total;
        for (const image of fresh.values()) this.show(image, wasEmpty);
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
   */
  show(image, wasEmpty) {
    const row = this.rows.get(image.id);
    if (row) return row.draw(image);
    const welcome = wasEmpty || (this.own.has(image.id) && !this.isOccupied());
    if (!welcome || !matches(image)) return undefined;
    if (!wasEmpty && pointer.isOnItsWay()) {
      // Its user has seen where the rows are and goes to one of them: in a moment.
      this.touched.add(image.id);
      return undefined;
    }
    const added = new Row(image);
    const later = [...this.rows.values()].find((other) => before(image, other.image));
    this.body.insertBefore(added.element, later?.element ?? null);
    const entries = [...this.rows.values(), added].toSorted((a, b) => (before(a.image, b.image) ? -1 : 1));
    this.rows = new Map(entries.map((entry) => [entry.image.id, entry]));
    if (!wasEmpty) this.expected += 1;
    pointer.rearranged();
    return undefined;
  }

  /** @param {ImageItem} image */
  isNewer(image) {
    const first = this.rows.values().next().value;
    return !first || before(image, first.image) || this.own.has(image.id);
  }

  draw() {
    const shown = [...this.rows.values()];
    const matching = shown.filter((row) => matches(row.image)).length;
    const past = shown.length - matching;
    const count = byId("count");
    count.textContent = `Showing ${number(matching)} of ${number(this.total)}`
      + (past ? `, and ${number(past)} that no longer match` : "");
    count.title = count.textContent;
    byId("more").hidden = !this.next;
    const empty = byId("empty");
    empty.hidden = shown.length > 0;
    empty.textContent = isNarrow() ? "No image matches this filter." : "No image yet. Drop some above, or put them into the bucket with any S3 client.";
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
 * Newest first, as the server lists; texts of one form compare as times.
 * @param {ImageItem} a
 * @param {ImageItem} b
 */
function before(a, b) {
  if (a.received_at !== b.received_at) return a.received_at > b.received_at;
  return a.id > b.id;
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
