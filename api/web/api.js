// The server's routes.

/** A problem that the server described, or a connection that failed. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ? `${body.title}: ${body.detail}` : body?.title ?? "The server cannot be reached.");
    this.status = status;
  }
}

/** Turns an answer that is not well into a Problem. */
export async function checked(response) {
  if (response.ok) return response;
  let body = null;
  try { body = await response.json(); } catch { /* not a problem document */ }
  throw new Problem(response.status, body ?? { title: `The server answered ${response.status}.` });
}

async function get(path, signal) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, null);
  }
  return checked(response);
}

/** A page of images for a filter (`URLSearchParams`). */
export async function list(filter, after, limit, signal) {
  const query = new URLSearchParams(filter);
  if (after) query.set("after", after);
  query.set("limit", limit);
  return (await get(`/v1/images?${query}`, signal)).json();
}

/** One image; null when it is not known (yet). */
export async function image(id, signal) {
  try {
    return await (await get(`/v1/images/${encodeURIComponent(id)}`, signal)).json();
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** Adds a verdict on an image; answers it as it is kept. */
export async function giveVerdict(id, verdict) {
  let response;
  try {
    response = await fetch(`/v1/images/${encodeURIComponent(id)}/verdicts`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(verdict),
    });
  } catch {
    throw new Problem(0, null);
  }
  return (await checked(response)).json();
}

/** `picture` or `heatmap` as an object URL; whoever asked must revoke it. */
export async function png(id, what, signal) {
  const blob = await (await get(`/v1/images/${encodeURIComponent(id)}/${what}`, signal)).blob();
  return URL.createObjectURL(blob);
}
