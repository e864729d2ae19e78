// The chain of the audit record: each entry has the hash of the one before it (docs/audit.md).

/**
 * An entry as it is stored. `at` is in microseconds since 1970, UTC; `detail` is a JSON object as text.
 * @typedef {{ number: number, at: number, action: string, actor_kind: string, actor_id: string | null, actor: string, role: string | null,
 *   image: string | null, site: string | null, subject: string | null, detail: string, request: string | null, previous: string, hash: string }} Entry
 */

/** @type {(keyof Entry)[]} */
const FIELDS = ["previous", "number", "at", "action", "actor_kind", "actor_id", "actor", "role", "image", "site", "subject", "detail", "request"];

/**
 * The number of the first entry that is not as it was written, or does not follow the next one shown; null where all are well.
 * @param {Entry[]} entries the newest first
 * @param {boolean} whole whether none between them is left out
 */
export async function check(entries, whole) {
  const hashes = await Promise.all(entries.map(hash));
  const place = entries.findIndex((entry, at) => {
    const before = whole ? entries[at + 1] : undefined;
    const follows = !before || (before.number + 1 === entry.number && before.hash === entry.previous);
    return hashes[at] !== entry.hash || !follows;
  });
  return entries[place]?.number ?? null;
}

/** @param {Entry} entry */
async function hash(entry) {
  const fields = ["lobar-audit-1", ...FIELDS.map((name) => entry[name])].map(field);
  const bytes = new Uint8Array(await new Blob(fields).arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Its length in four bytes, the highest first, and its UTF-8; four bytes 0xFF for null. @param {string | number | null} value */
function field(value) {
  if (value === null) return new Uint8Array(4).fill(0xff);
  const text = new TextEncoder().encode(String(value));
  const bytes = new Uint8Array(4 + text.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, 4);
  return bytes;
}
