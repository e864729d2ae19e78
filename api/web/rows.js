// One row of the list.

import { open } from "./address.js";
import { el, shape } from "./elements.js";
import { band, clock, duration, percent, shortId, threshold, verdict } from "./words.js";

/** The verdict as shape, word and colour. */
export function verdictElement(image) {
  const said = verdict(image);
  const more = [said.more, said.human ? "A person must look at it." : null].filter(Boolean).join(" ");
  return el("span", { class: `verdict tone-${said.tone}` }, shape(said.shape),
    el("span", {}, said.more ? `${said.word}: ` : said.word, more ? el("small", {}, more) : null));
}

/** The percent on a band with the threshold marked. */
export function bandElement(result) {
  const fill = el("i");
  const mark = el("b");
  fill.style.width = `${result.probability * 100}%`;
  mark.style.left = `calc(${result.threshold * 100}% - 1px)`;
  return el("div", { class: result.flagged ? "band flagged" : "band", "aria-hidden": "true" }, fill, mark);
}

function score(result) {
  if (!result) return [el("span", { class: "muted", "aria-label": "none" }, "–")];
  return [el("div", { class: "score", title: `The threshold is ${threshold(result.threshold)}.` },
    el("span", {}, el("strong", {}, percent(result.probability)), " ", el("small", {}, band(result))),
    bandElement(result))];
}

/** How long an image waits, or how long it took. */
function waiting(image) {
  const received = Date.parse(image.received_at);
  if (image.finished_at) return `took ${duration((Date.parse(image.finished_at) - received) / 1000)}`;
  return duration((Date.now() - received) / 1000);
}

/** A table row that changes in place. */
export class Row {
  constructor(image) {
    this.cells = Array.from({ length: 7 }, () => el("td"));
    this.cells[3].className = this.cells[4].className = this.cells[5].className = "short";
    this.element = el("tr", { "data-id": image.id }, ...this.cells);
    this.element.addEventListener("dblclick", () => open(image.id));
    const link = el("a", { class: "open", href: `#/images/${image.id}`, "aria-label": `Open image ${shortId(image.id)}` }, shortId(image.id));
    this.cells[6].append(link);
    this.draw(image);
  }

  draw(image) {
    const before = this.image?.status;
    this.image = image;
    const [assessment, probability, site, received, wait, model] = this.cells;
    this.element.dataset.status = image.status;
    assessment.replaceChildren(verdictElement(image),
      ...(image.priority === "stat" ? [el("span", { class: "badge", title: "Urgent" }, "STAT")] : []));
    probability.replaceChildren(...score(image.result));
    site.textContent = image.site ?? "–";
    received.textContent = clock(image.received_at);
    received.title = image.received_at;
    wait.textContent = waiting(image);
    model.textContent = image.result?.model.version ?? "–";
    if (before && before !== image.status) {
      this.element.classList.remove("changed");
      requestAnimationFrame(() => this.element.classList.add("changed"));
    }
  }

  /** Moves the waiting time on. */
  tick() {
    if (!this.image.finished_at) this.cells[4].textContent = waiting(this.image);
  }
}
