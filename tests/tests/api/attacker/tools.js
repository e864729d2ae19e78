// What an attacker's page does in a browser in which somebody has signed in. Each function resolves with what came of
// it, in words; "nothing" is what an attacker may get.
const NOTHING = "nothing";

/** Reads an answer of a server elsewhere. */
const read = (url, options = {}) =>
  fetch(url, { credentials: "include", ...options }).then(
    async (answer) => (answer.type === "opaque" ? "an opaque answer" : `${answer.status} ${(await answer.text()).slice(0, 200)}`),
    () => NOTHING);

/** Loads something into the page, as whatever an element takes it for. */
const load = (tag, source, more = {}) => new Promise((resolve) => {
  const element = Object.assign(document.createElement(tag), more);
  element.onload = () => resolve(element.naturalWidth ? `${element.naturalWidth} pixels` : `a ${tag}`);
  element.onerror = () => resolve(NOTHING);
  element[tag === "link" ? "href" : tag === "object" ? "data" : "src"] = source;
  document.body.append(element);
}).finally(() => document.querySelectorAll(tag).forEach((element) => element.remove()));

/** Sends a form into a frame, of which nothing can be read. */
const form = (action, enctype, fields) => new Promise((resolve) => {
  const frame = Object.assign(document.createElement("iframe"), { name: "target" });
  document.body.append(frame);
  const element = Object.assign(document.createElement("form"), { action, enctype, method: "post", target: "target" });
  for (const [name, value] of Object.entries(fields)) {
    element.append(Object.assign(document.createElement("textarea"), { name, value }));
  }
  document.body.append(element);
  frame.onload = () => {
    let seen = NOTHING;
    try { seen = `a frame with ${frame.contentDocument.body.innerText}`; } catch { /* of another origin */ }
    if (frame.contentDocument === null || seen === "a frame with ") seen = NOTHING;
    frame.remove();
    element.remove();
    resolve(seen);
  };
  element.submit();
});

/** Puts a page into a frame. */
const frame = (source) => new Promise((resolve) => {
  const element = Object.assign(document.createElement("iframe"), { src: source });
  element.onload = () => {
    let seen = NOTHING;
    try { if (element.contentDocument) seen = `a page: ${element.contentDocument.body.innerText}`; } catch { /* of another origin */ }
    if (element.contentWindow.length > 0) seen = `a page with ${element.contentWindow.length} frames`;
    element.remove();
    resolve(seen);
  };
  document.body.append(element);
});

/** Follows events. */
const follow = (url) => new Promise((resolve) => {
  const source = new EventSource(url, { withCredentials: true });
  const said = (words) => { source.close(); resolve(words); };
  source.onopen = () => said("an open stream");
  source.onmessage = ({ data }) => said(data);
  source.onerror = () => said(NOTHING);
});

/** Talks by a socket. */
const talk = (url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onopen = () => resolve("an open socket");
  socket.onclose = () => resolve(NOTHING);
});

/** Holds a window in which the page was opened, and tells it things. */
const hold = async (url) => {
  const held = open(url);
  if (!held) return "no window";
  // A window that another page took into a group of its own counts as closed here.
  for (let tries = 0; tries < 200 && !held.closed; tries += 1) await new Promise((next) => { setTimeout(next, 50); });
  held.postMessage({ name: "eve" }, "*");
  return held.closed ? NOTHING : "a window that is held";
};

/** Whether anything tells images apart: one of an own site of the reader's, one of another site, one that does not exist. */
const tell = async (urls, ways) => {
  for (const way of ways) {
    const said = [];
    for (const url of urls) said.push(await way(url));
    if (new Set(said).size > 1) return said.join(", ");
  }
  return NOTHING;
};

const json = (body) => ({ method: "POST", body: JSON.stringify(body) });
