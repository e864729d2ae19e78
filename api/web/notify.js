// A notification of the desktop where images need a reader and the page is not in sight. Off until its reader asks for it.
// It says how many and nothing else: whoever passes by a locked screen reads it too.

import { list } from "./api.js";
import { needsReader } from "./order.js";

/** Where it is kept that this browser's reader asked for it. */
const KEPT = "lobar.notify";
/** At most one in so long, in ms. */
const PAUSE = 60_000;
/** How long is waited for what comes together, in ms. */
const GATHER = 2_000;
/** The newest images among which those are looked for that events told of. */
const LOOKED = 100;
/** Ids that are kept, at most. */
const REMEMBERED = 5_000;

/** Browsers have it only on pages that came by TLS, or from this machine. */
const isThere = () => "Notification" in window && isSecureContext;

export class Notifier {
  constructor() {
    /** What events told of while the page was not in sight. @type {Set<string>} */
    this.heard = new Set();
    /** What was told already. @type {Set<string>} */
    this.told = new Set();
    this.last = -Infinity;
    /** @type {ReturnType<typeof setTimeout> | null} */
    this.timer = null;
    /** @type {Notification | null} */
    this.shown = null;
    document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") this.close(); });
  }

  isOn() {
    try { return isThere() && Notification.permission === "granted" && localStorage.getItem(KEPT) === "on"; } catch { return false; }
  }

  /** Asks the browser, after a click. @returns {Promise<string | null>} why there is none, in words */
  async turnOn() {
    if (!isThere()) return "This browser shows none here: it does so only for pages that came over HTTPS, or from this machine.";
    if (await Notification.requestPermission() !== "granted") return "This browser does not let the page show any. Its settings for this page say so.";
    try { localStorage.setItem(KEPT, "on"); } catch { return "This browser keeps nothing, and so not that you want it."; }
    return null;
  }

  turnOff() {
    try { localStorage.removeItem(KEPT); } catch { /* It was never kept. */ }
    this.close();
  }

  /** Its reader looks, or leaves: what was heard is nothing new any more. */
  close() {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.heard.clear();
    this.shown?.close();
    this.shown = null;
  }

  /** An event told of an image. @param {string} id */
  noticed(id) {
    if (document.visibilityState === "visible" || this.told.has(id) || !this.isOn()) return;
    this.heard.add(id);
    if (this.heard.size > REMEMBERED) this.heard.delete([...this.heard][0] ?? "");
    this.timer ??= setTimeout(() => this.look(), Math.max(GATHER, this.last + PAUSE - performance.now()));
  }

  /** Looks which of them need a reader, as far as this one may know, and tells how many. */
  async look() {
    const heard = this.heard;
    this.heard = new Set();
    try {
      const page = await list(new URLSearchParams(), null, LOOKED);
      const found = page.items.filter((image) => heard.has(image.id) && needsReader(image));
      if (found.length > 0 && document.visibilityState !== "visible" && this.isOn()) this.show(found.map(({ id }) => id));
    } catch {
      // The next event has it looked for again.
      for (const id of heard) this.heard.add(id);
    }
    this.timer = null;
  }

  /** @param {string[]} ids */
  show(ids) {
    for (const id of ids) this.told.add(id);
    while (this.told.size > REMEMBERED) this.told.delete([...this.told][0] ?? "");
    this.last = performance.now();
    const shown = new Notification(ids.length === 1 ? "1 image needs a reader" : `${ids.length} images need a reader`, { tag: "lobar" });
    shown.addEventListener("click", () => {
      window.focus();
      shown.close();
    });
    this.shown = shown;
  }
}
