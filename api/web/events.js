// The event stream's client. It reads the stream itself, since `EventSource` neither lets a page
// choose where a new connection resumes nor shows heartbeats, and so cannot tell a quiet server
// from a dead connection.

import { Problem, send, sessionIsOver, signedIn } from "./request.js";

const SILENCE = 25_000;
const PATIENCE = 5_000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;

/** `full` where no more pages may follow. @typedef {"live" | "reconnecting" | "stale" | "full" | "paused"} State */

/**
 * What is called back.
 * @typedef {object} Listener
 * @property {(event: { id: string, status: string }, position: string) => void} image an image has changed, by the event at this position
 * @property {() => void} reset what is known must be loaded anew
 * @property {(state: State, since?: Date) => void} state of the connection, and the time of the last news
 */

/** Follows `/v1/events` after the event whose `id` is `after`, for ever. */
export class EventStream {
  /** @param {number | string} after @param {Listener} on */
  constructor(after, on) {
    // As it came: nothing is computed with it.
    this.last = String(after);
    this.on = on;
    this.wait = FIRST_WAIT;
    this.closed = false;
    /** Pending while its reader wants no news. @type {Promise<void> | null} */
    this.pausing = null;
    /** @type {() => void} */
    this.resume = () => {};
    this.lastLife = new Date();
    this.abort = new AbortController();
    /** @type {State | undefined} */
    this.state = undefined;
    /** @type {number | undefined} */
    this.watchdog = undefined;
    /** @type {number | undefined} */
    this.patience = undefined;
    this.run();
  }

  close() {
    this.closed = true;
    this.abort.abort();
    this.resume();
    clearTimeout(this.watchdog);
    clearTimeout(this.patience);
  }

  /** Takes no news until `goOn`. */
  pause() {
    this.pausing ??= new Promise((resume) => { this.resume = resume; });
    this.say("paused", new Date());
    this.abort.abort();
  }

  /** Takes all the news of the pause, and what comes after it. */
  goOn() {
    this.pausing = null;
    this.wait = FIRST_WAIT;
    this.state = undefined;
    this.lost();
    this.resume();
  }

  async run() {
    while (!this.closed) {
      await signedIn();
      await this.pausing;
      if (this.closed) return;
      try {
        await this.connect();
      } catch (error) {
        // The loop is the answer to everything else.
        if (error instanceof Problem && error.kind === "not-signed-in") sessionIsOver();
        if (error instanceof Problem && ["too-many-requests", "too-many-streams"].includes(error.kind)) {
          this.say("full", this.lastLife);
          this.wait = Math.max(this.wait, (error.wait ?? 0) * 1000);
        }
      }
      if (this.closed) return;
      if (this.pausing) continue;
      this.lost();
      await new Promise((wake) => setTimeout(wake, this.wait * (0.5 + Math.random() / 2)));
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    }
  }

  async connect() {
    this.abort = new AbortController();
    this.life();
    const response = await send("GET", `/v1/events?after=${this.last}`, {
      headers: { Accept: "text/event-stream", "Last-Event-ID": this.last },
      byItself: true,
      signal: this.abort.signal,
    });
    if (!response.body) throw new Error("events: no body");
    this.wait = FIRST_WAIT;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.closed || this.pausing) return;
      this.life();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) this.take(block);
    }
  }

  /** @param {string} block one event: lines of `name: value` */
  take(block) {
    /** @type {Record<string, string>} */
    const field = {};
    for (const line of block.split("\n")) {
      const at = line.indexOf(":");
      if (at > 0) field[line.slice(0, at)] = line.slice(at + 1).trimStart();
    }
    if (field.event === "stale") return this.say("stale", new Date(JSON.parse(field.data ?? "{}").since));
    this.say("live");
    if (field.event === "reset") {
      this.last = field.id ?? this.last;
      this.on.reset();
    } else if (field.event === "image") {
      // The position moves only after the event was taken.
      this.on.image(JSON.parse(field.data ?? ""), field.id ?? this.last);
      this.last = field.id ?? this.last;
    }
  }

  /** Something arrived (or is about to): the connection is given up after a silence. */
  life() {
    this.lastLife = new Date();
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.abort.abort(), SILENCE);
  }

  lost() {
    clearTimeout(this.watchdog);
    if (this.state === "reconnecting" || this.state === "stale" || this.state === "full") return;
    const since = this.lastLife;
    this.say("reconnecting", since);
    this.patience = setTimeout(() => this.say("stale", since), PATIENCE);
  }

  /** @param {State} state @param {Date} [since] */
  say(state, since) {
    if (state !== "reconnecting") clearTimeout(this.patience);
    if (state === this.state && state !== "stale") return;
    this.state = state;
    this.on.state(state, since);
  }
}
