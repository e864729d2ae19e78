// The OpenID provider that the tests sign in at: panva's `oidc-provider`, with its own pages, on a port of loopback.
//
//   node provider.mjs PACKAGES '{"port": 1, "client": "http://127.0.0.1:2"}'
//
// It signs with a key that it makes when it starts, so that starting it again is a change of keys. Anybody named signs in,
// with any password. What the tests tell it beside the protocol lies under /test/.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [packages, settings] = process.argv.slice(2);
const { port, client, issuer = `http://localhost:${port}` } = JSON.parse(settings);
const { Provider } = await import(pathToFileURL(`${packages}/node_modules/oidc-provider/lib/index.js`).href);

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "RS256" };

/** Who there is, with their groups. */
const people = new Map(Object.entries({
  ada: ["x-rays", "everybody"],
  bob: ["everybody"],
  root: ["it"],
  elsewhere: ["nowhere"],
}));

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: [randomUUID()] },
  clients: [{
    client_id: "lobar",
    client_secret: "the client's secret",
    redirect_uris: [`${client}/v1/oidc/callback`],
    post_logout_redirect_uris: [`${client}/`],
    backchannel_logout_uri: `${client}/v1/oidc/logout`,
    backchannel_logout_session_required: true,
  }],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
  features: { backchannelLogout: { enabled: true } },
  // Its own `fetch` calls nobody on loopback.
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
  async findAccount(_, sub) {
    const groups = people.get(sub);
    return groups && { accountId: sub, claims: () => ({ sub, preferred_username: sub, groups }) };
  },
  // Nobody is asked whether Lobar may know what they are called.
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope("openid profile");
    await grant.save();
    return grant;
  },
});

/** The provider's sessions of its people: a subject with its `sid`. @type {[string, string][]} */
const sessions = [];
provider.on("authorization.success", ({ oidc }) => {
  sessions.push([oidc.session.accountId, oidc.session.sidFor("lobar")]);
});

const serve = provider.callback();
createServer(async (request, answer) => {
  const url = new URL(request.url, issuer);
  const name = url.searchParams.get("name");
  try {
    if (url.pathname === "/test/groups") {
      people.set(name, url.searchParams.getAll("group"));
    } else if (url.pathname === "/test/revoke") {
      people.delete(name);
      const lobar = await provider.Client.find("lobar");
      for (const [sub, sid] of sessions.filter(([sub]) => sub === name)) await lobar.backchannelLogout(sub, sid);
    } else {
      return serve(request, answer);
    }
    answer.writeHead(204).end();
  } catch (error) {
    answer.writeHead(500).end(String(error));
  }
}).listen(port, "127.0.0.1", () => { console.log("listening"); });
