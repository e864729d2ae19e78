// A provider that lies as the tests tell it: it has keys of its own and answers with whatever is asked of it.
//
//   node forger.mjs PACKAGES '{"port": 1}'
//
// POST /test/next takes what becomes of the next sign-ins:
//   claims    members of the ID token, instead of right ones; null leaves one out
//   header    members of its header
//   sign      `own` (RS256 by the published key), `other` (by another key of the same name), `unknown` (by a key that is
//             not published), `none`, `hs256` (by the published key's own text as a shared secret), `rotate` (the published
//             key is another one from now on)
//   callback  members of the redirection's query
//   userinfo  what is said of the person beside the token
//   discovery members of the provider's own description
//   token     `invalid_grant`, `huge`, `slow`, `redirect`, `html`: how the token endpoint fails
// GET /test/logout-token?… gives a logout token with the same members, as JSON in `next`.

import { KeyObject, createHmac, randomUUID, sign as signedBy } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [packages, settings] = process.argv.slice(2);
const { port } = JSON.parse(settings);
const issuer = `http://localhost:${port}`;
const jose = await import(pathToFileURL(`${packages}/node_modules/jose/dist/webapi/index.js`).href);

const make = async (kid) => {
  const pair = await jose.generateKeyPair("RS256", { extractable: true });
  return { ...pair, kid, jwk: { ...await jose.exportJWK(pair.publicKey), kid, use: "sig", alg: "RS256" } };
};
let published = await make("one");
const other = await make("one");
const unknown = await make("unknown");
let next = {};
// Of each sign-in, by its code.
const nonces = new Map();

async function signed(claims, header) {
  const { sign = "own" } = next;
  if (sign === "rotate" && published.kid === "one") published = await make("two");
  const key = { other, unknown }[sign] ?? published;
  const head = { alg: "RS256", kid: key.kid, ...header, ...next.header };
  const body = Object.fromEntries(Object.entries({ ...claims, ...next.claims }).filter(([, value]) => value !== null));
  const part = (value) => jose.base64url.encode(JSON.stringify(value));
  if (sign === "none") return `${part({ ...head, alg: "none" })}.${part(body)}.`;
  // By hand: a library refuses to make what is wrong.
  if (sign === "hs256") {
    const text = `${part({ ...head, alg: "HS256" })}.${part(body)}`;
    const secret = await jose.exportSPKI(published.publicKey);
    return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
  }
  const text = `${part(head)}.${part(body)}`;
  return `${text}.${signedBy("RSA-SHA256", Buffer.from(text), KeyObject.from(key.privateKey)).toString("base64url")}`;
}

const now = () => Math.floor(Date.now() / 1000);
const json = (answer, value, status = 200) => answer.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
async function read(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

/** Times are given as seconds from now. */
function timed(claims = {}) {
  const at = (name) => (typeof claims[name] === "number" ? { [name]: now() + claims[name] } : {});
  return { ...claims, ...at("exp"), ...at("iat"), ...at("nbf") };
}

const routes = {
  "/.well-known/openid-configuration": (_, answer) => json(answer, {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256", "HS256", "none"],
    authorization_response_iss_parameter_supported: true,
    ...next.discovery,
  }),
  "/jwks": (_, answer) => json(answer, { keys: [published.jwk] }),
  "/auth": (url, answer) => {
    const code = randomUUID();
    nonces.set(code, url.searchParams.get("nonce"));
    const back = new URL(url.searchParams.get("redirect_uri"));
    const query = { code, state: url.searchParams.get("state"), iss: issuer, ...next.callback };
    for (const [name, value] of Object.entries(query)) if (value !== null) back.searchParams.set(name, value);
    answer.writeHead(303, { location: back.href }).end();
  },
  "/token": async (_, answer, request) => {
    const nonce = nonces.get(new URLSearchParams(await read(request)).get("code"));
    const { token } = next;
    if (token === "invalid_grant") return json(answer, { error: "invalid_grant", error_description: "Jane Doe" }, 400);
    if (token === "html") return answer.writeHead(200, { "content-type": "text/html" }).end("<p>Jane Doe");
    if (token === "redirect") return answer.writeHead(302, { location: `${issuer}/elsewhere` }).end();
    if (token === "huge") return json(answer, { access_token: "x".repeat(2 << 20), token_type: "Bearer" });
    const claims = { iss: issuer, aud: "lobar", sub: "ada", preferred_username: "ada", groups: ["x-rays"], nonce, iat: now(), exp: now() + 300 };
    return json(answer, { access_token: "opaque", token_type: "Bearer", id_token: await signed(claims, {}) });
  },
  "/userinfo": (_, answer) => json(answer, next.userinfo ?? {}),
  "/test/next": async (_, answer, request) => {
    next = JSON.parse(await read(request));
    next.claims = timed(next.claims);
    answer.writeHead(204).end();
  },
  "/test/logout-token": async (_, answer) => {
    const events = { "http://schemas.openid.net/event/backchannel-logout": {} };
    const claims = { iss: issuer, aud: "lobar", sub: "ada", iat: now(), exp: now() + 120, jti: randomUUID(), events };
    answer.end(await signed(claims, { typ: "logout+jwt" }));
  },
};

createServer((request, answer) => {
  const url = new URL(request.url, issuer);
  const route = routes[url.pathname];
  if (route) return route(url, answer, request);
  return answer.writeHead(404).end();
}).listen(port, "127.0.0.1", () => { console.log("listening"); });
