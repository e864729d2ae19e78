// Tries the TypeScript client that openapi-typescript and openapi-fetch make of the API document.
//
//     node try.js BASE TOKEN IMAGE FILE
//
// IMAGE is an image with a result. Uploads FILE, gives a verdict on IMAGE, asks for what is not there, and prints as JSON
// what the server said.

import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Image = components["schemas"]["ImageItem"];

const [base, token, image, file] = process.argv.slice(2) as [string, string, string, string];
const client = createClient<paths>({ baseUrl: base, headers: { Authorization: `Bearer ${token}` } });

/** What was answered, where it is no problem. */
function answered<T>({ data, error }: { data?: T; error?: unknown }): T {
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data;
}

/** The result of an image that has one. */
function resultOf({ result }: Image): NonNullable<Image["result"]> {
  if (!result) throw new Error("the image has no result");
  return result;
}

const session = answered(await client.GET("/v1/session"));
const page = answered(await client.GET("/v1/images", { params: { query: { limit: 1 } } }));
const second = answered(await client.GET("/v1/images", { params: { query: { limit: 1, after: page.next ?? "" } } }));

const of = { params: { path: { id: image } } };
const item = answered(await client.GET("/v1/images/{id}", of));
const verdict = answered(await client.POST("/v1/images/{id}/verdicts", {
  ...of,
  body: { opinion: "disagree", label: "NORMAL", model_version: resultOf(item).model.version, displayed: ["picture"] },
}));
const verdicts = answered(await client.GET("/v1/images/{id}/verdicts", of));

const form = new FormData();
form.set("file", new Blob([await readFile(file)], { type: "image/jpeg" }), "film.jpg");
form.set("patient_id", "4711");
const receipt = answered(await client.POST("/v1/images", {
  params: { query: { site: "north", priority: "stat" } },
  // What is typed is the members; the file itself no JSON can hold.
  body: { file: "film.jpg", patient_id: "4711" },
  bodySerializer: () => form,
}));

const { error } = await client.GET("/v1/images/{id}", { params: { path: { id: "00000000-0000-0000-0000-000000000000" } } });

console.log(JSON.stringify({
  grants: session.grants,
  uploaded: receipt.id,
  label: resultOf(item).label,
  status: item.status,
  verdict: verdict.opinion,
  verdicts: verdicts.items.map((said) => said.label),
  pages: [page.items[0]?.id, second.items[0]?.id],
  problem: error?.type,
}));
