// Files from this page into the bucket: a few at a time, with progress, and again if one fails. They are chosen in a dialog,
// or dropped anywhere; the header says how far they are.

import { onDrop } from "./drop.js";
import { byId, el } from "./elements.js";
import { showDialog } from "./forms.js";
import { wordsOf } from "./request.js";
import { Sending, failed, newBatch, unfinished } from "./sending.js";
import { may, onLeave, sitesOf } from "./session.js";
import { number } from "./words.js";

const AT_ONCE = 4;
const LISTED = 200;

class Uploads {
  /** @param {(id: string, name: string) => void} onSent for every stored file; names stay in this page */
  constructor(onSent) {
    this.onSent = onSent;
    /** @type {Sending[]} */
    this.all = [];
    this.active = 0;
    this.hidden = 0;
    /** @type {HTMLDialogElement | null} */
    this.dialog = null;
    this.panel = byId("upload");
    byId("choose-files").addEventListener("click", () => byId("files").click());
    byId("choose-folder").addEventListener("click", () => byId("folder").click());
    for (const input of [byId("files", HTMLInputElement), byId("folder", HTMLInputElement)]) {
      input.addEventListener("change", () => {
        this.add([...input.files ?? []]);
        input.value = "";
      });
    }
    byId("sent-batch").addEventListener("click", () => this.dialog?.close());
    byId("retry-all").addEventListener("click", () => this.retry(this.all.filter(failed)));
    byId("clear-sent").addEventListener("click", () => this.clear());
    addEventListener("beforeunload", (event) => {
      if (this.isBusy()) event.preventDefault();
    });
    onDrop((files) => this.add(files));
    this.site = siteField();
    byId("upload-site-label").append(this.site);
    byId("chip-space").hidden = false;
    // Who has a list needs its room; who only uploads has nothing else here.
    const hasList = may("read_images");
    byId("add").hidden = !hasList;
    this.panel.hidden = hasList;
    for (const id of ["add", "sending-chip"]) byId(id).addEventListener("click", () => this.open());
    onLeave(() => this.forget());
  }

  /** Shows the dialog, where there is one. */
  open() {
    if (byId("add").hidden || this.dialog?.open) return;
    const { panel } = this;
    const opener = document.activeElement;
    panel.hidden = false;
    this.dialog = showDialog("Add X-rays", panel);
    this.dialog.addEventListener("close", () => {
      panel.hidden = true;
      byId("worklist").prepend(panel);
      this.dialog = null;
      if (opener instanceof HTMLElement) opener.focus({ preventScroll: true });
    });
  }

  /** Gives everything up, for good. */
  forget() {
    for (const sending of this.all) {
      sending.state = "failed";
      sending.abort();
    }
    this.all = [];
    byId("sent-batch").hidden = true;
    byId("sending-files").replaceChildren();
  }

  /** Whether something is still to be sent. */
  isBusy() {
    return this.all.some(unfinished);
  }

  /** @param {File[]} files */
  add(files) {
    const site = this.site;
    if (files.length === 0) return;
    if (!site.checkValidity()) {
      // Where they belong has to be said first; they are chosen again then.
      this.open();
      site.reportValidity();
      return;
    }
    const visible = files.filter((file) => !file.name.startsWith("."));
    this.hidden += files.length - visible.length;
    const stat = byId("upload-stat", HTMLInputElement).checked;
    // What was chosen or dropped at once is one upload.
    const batch = newBatch();
    if (visible.length > 0) this.linkTo(batch);
    for (const file of visible) {
      const sending = new Sending(file, site.value, stat, batch);
      sending.again.addEventListener("click", () => this.retry([sending]));
      this.all.push(sending);
    }
    this.pump();
  }

  /** Leads from the files to what becomes of them. @param {string} batch */
  linkTo(batch) {
    const link = byId("sent-batch", HTMLAnchorElement);
    link.href = `#/batches/${batch}`;
    link.hidden = !may("read_images");
  }

  /** @param {Sending[]} sendings */
  retry(sendings) {
    for (const sending of sendings) Object.assign(sending, { state: "waiting", said: "waiting", sent: 0 });
    this.pump();
  }

  clear() {
    this.all = this.all.filter(unfinished);
    this.hidden = 0;
    byId("sending-files").replaceChildren();
    this.draw();
  }

  pump() {
    for (const sending of this.all) {
      if (this.active >= AT_ONCE) break;
      if (sending.state === "waiting") this.start(sending);
    }
    this.draw();
  }

  /** @param {Sending} sending */
  async start(sending) {
    this.active += 1;
    Object.assign(sending, { state: "sending", said: "sending" });
    this.drawOne(sending);
    try {
      const { id, isAside } = await sending.send(() => this.drawOne(sending));
      Object.assign(sending, { state: "sent", isAside, said: isAside ? "put aside: no image by name and content" : "stored", sent: 1 });
      if (this.all.includes(sending) && !isAside) this.onSent(id, sending.file.name);
    } catch (error) {
      Object.assign(sending, { state: "failed", said: `not sent: ${wordsOf(error)}` });
    }
    this.active -= 1;
    // Given up by `forget`.
    if (!this.all.includes(sending)) return;
    this.drawOne(sending);
    this.pump();
  }

  /** @param {Sending} sending */
  drawOne(sending) {
    const list = byId("sending-files");
    if (!sending.row.isConnected) list.append(sending.row);
    sending.row.dataset.state = sending.state;
    sending.bar.value = sending.sent;
    sending.words.textContent = sending.said;
    sending.again.hidden = sending.state !== "failed";
    if (list.childElementCount > LISTED) list.querySelector("[data-state='sent']")?.remove();
    this.drawAll();
  }

  draw() {
    this.drawAll();
    byId("retry-all").hidden = this.all.filter(failed).length < 2;
    byId("clear-sent").hidden = this.all.some(unfinished) || this.all.length === 0;
  }

  drawAll() {
    const isEmpty = this.all.length === 0 && this.hidden === 0;
    byId("sending").hidden = isEmpty;
    byId("sending-chip").hidden = isEmpty;
    const sent = this.all.filter(({ state }) => state === "sent").length;
    const lost = this.all.filter(failed).length;
    const aside = this.all.filter(({ isAside }) => isAside).length;
    byId("sending-chip").dataset.state = lost ? "failed" : "sending";
    byId("sending-words").textContent = `${number(sent)} of ${number(this.all.length)} sent`
      + (lost ? `, ${number(lost)} failed` : "")
      + (aside ? `, ${number(aside)} put aside` : "")
      + (this.hidden ? `; ${number(this.hidden)} hidden files left out` : "");
    const parts = this.all.reduce((sum, { sent: part }) => sum + part, 0);
    byId("sending-all", HTMLProgressElement).value = this.all.length ? parts / this.all.length : 0;
  }
}

/** Makes uploads possible. @param {(id: string, name: string) => void} onSent for every stored file */
export function setUpUploads(onSent) {
  return new Uploads(onSent);
}

/** Where the site of uploads is given: one of the person's own, or any for who may upload everywhere. */
function siteField() {
  const sites = sitesOf("upload");
  const common = { id: "upload-site", required: true };
  if (!sites) {
    return el("input", { ...common, value: "local", maxlength: "63", pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", spellcheck: "false", autocomplete: "off" });
  }
  const ask = sites.length > 1 ? [el("option", { value: "" }, "choose")] : [];
  return el("select", common, ...ask, ...sites.map((site) => el("option", { value: site }, site)));
}
