/** Requests as other programs than well-known clients write them, byte by byte. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useFaultLibrary } from "../support/fault.ts";
import { affineModel } from "../support/models.ts";
import { RawClient, post } from "../support/raw-client.ts";
import { ask, jsonInput, starter } from "../support/server.ts";
import type { Running } from "../support/server.ts";

useFaultLibrary();
const start = starter(afterAll);
const NAME = 'a/b %"ö';
const BODY_MAX = 4096;

let running: Running;
beforeAll(async () => {
  const config = { backend: "OnnxTensor", model: affineModel() };
  running = await start({ m: config, [NAME]: config }, { limits: { bodyBytes: BODY_MAX } });
});

const INFER = "/v2/models/m/infer";
const BODY = JSON.stringify({ inputs: [jsonInput("x", "FP32", [1, 4], [1, 2, 3, 4])] });
const length = (text: string): string => `Content-Length: ${Buffer.byteLength(text)}`;
/** As a body that comes in chunks of 7 bytes. */
const chunked = (text: string, trailers = ""): string => {
  const chunks = text.match(/.{1,7}/g)!.map((chunk) => `${chunk.length.toString(16)};x=y\r\n${chunk}\r\n`);
  return `${chunks.join("")}0\r\n${trailers}\r\n`;
};

const LAST = /HTTP\/1\.1 \d(?![\s\S]*HTTP\/1\.1 \d)/;

/** The last answer to `pieces`, which are written one after the other: its status, headers and body. */
async function say(...pieces: string[]): Promise<{ status: number; headers: string; body: string }> {
  const client = new RawClient(running.port);
  for (const [i, piece] of pieces.entries()) {
    if (i > 0) await client.statuses(i);
    client.send(Buffer.from(piece));
  }
  const statuses = await client.statuses(pieces.length);
  const last = (): [headers: string, body: string] => {
    const text = client.text.slice(client.text.search(LAST)).toLowerCase();
    const [headers, body = ""] = text.split("\r\n\r\n");
    return [headers, body];
  };
  const isWhole = (): boolean => {
    const bytes = Number(/content-length: (\d+)/.exec(last()[0])?.[1]);
    return pieces[0].startsWith("HEAD") || last()[1].length === bytes;
  };
  await expect.poll(isWhole).toBe(true);
  client.end();
  const [headers, body] = last();
  return { status: statuses.at(-1)!, headers, body };
}

describe("a body", () => {
  it.each([
    ["with HTTP/1.0", `POST ${INFER} HTTP/1.0\r\n${length(BODY)}\r\n\r\n${BODY}`],
    ["in chunks with extensions", post(INFER, ["TRANSFER-ENCODING: Chunked"]) + chunked(BODY)],
    ["with trailers", post(INFER, ["Transfer-Encoding: chunked", "Trailer: a"]) + chunked(BODY, "a: b\r\n")],
    ["in some charset", post(INFER, ["content-type: text/plain; charset=utf-8", length(BODY)]) + BODY],
    ["with an upgrade", post(INFER, ["Connection: Upgrade", "Upgrade: h2c", length(BODY)]) + BODY],
    ["with an expectation", post(INFER, ["Expect: something", length(BODY)]) + BODY],
    ["after an empty line", `\r\n${post(INFER, [length(BODY)])}${BODY}`],
  ])("is taken %s", async (_, text) => {
    const { status, body } = await say(text);
    expect([status, body]).toEqual([200, expect.stringContaining('"data":[3,5,7,9]')]);
  });

  it("that is announced is asked for", async () => {
    const { status } = await say(post(INFER, [length(BODY), "Expect: 100-continue"]), BODY);
    expect(status).toBe(200);
  });

  it("that is too large is not asked for", async () => {
    const client = new RawClient(running.port);
    client.send(post(INFER, [`Content-Length: ${BODY_MAX + 1}`, "Expect: 100-continue"]));
    expect(await client.untilClosed()).toMatch(/^HTTP\/1\.1 413 /);
  });

  it.each([
    ["two lengths", post(INFER, [length(BODY), "Content-Length: 3"]) + BODY],
    ["a length and chunks", post(INFER, [length(BODY), "Transfer-Encoding: chunked"]) + chunked(BODY)],
    ["a negative length", post(INFER, ["Content-Length: -5"]) + BODY],
    ["no host", `GET /v2/health/live HTTP/1.1\r\n\r\n`],
    ["no HTTP", "\u0016\u0003\u0001\u0002"],
  ])("or a request is refused with %s", async (_, text) => {
    const { status, headers, body } = await say(text);
    expect([status, JSON.parse(body)]).toEqual([400, { error: expect.any(String) }]);
    expect(headers).toContain("connection: close");
  });
});

describe("a method", () => {
  it.each([
    ["DELETE", "/v2", "allow: get, head"],
    ["OPTIONS", INFER, "allow: post"],
    ["HEAD", INFER, "allow: post"],
    ["OPTIONS", "*", "allow: get, head"],
    ["CONNECT", "somewhere:80", "allow: get, head, post"],
    ["FETCH", INFER, "allow: get, head, post"],
  ])("that is not for it is answered with those that are: %s %s", async (method, path, allow) => {
    const { status, headers } = await say(`${method} ${path} HTTP/1.1\r\nHost: test\r\n\r\n`);
    expect([status, headers]).toEqual([405, expect.stringContaining(allow)]);
  });
});

describe("a URL", () => {
  it.each([
    "/v2/models/m/ready/",
    "/v2/models/m/ready?a=b&c=%ff",
    "/v2/%6dodels/%6D/ready",
    "http://elsewhere/v2/models/m/ready",
    `/v2/models/${encodeURIComponent(NAME)}/ready`,
  ])("may be %s", async (url) => {
    expect((await say(`GET ${url} HTTP/1.1\r\nHost: test\r\n\r\n`)).status).toBe(200);
  });

  it.each(["/v2//models/m", "/v2/models/m/versions", "/v2/models/m//"])(
    "that leads nowhere is told as it came: %s",
    async (url) => {
      const { status, json } = await ask(running.port, url);
      expect([status, json]).toEqual([404, { error: `Cannot find "${url.replace(/\/$/, "")}"` }]);
    },
  );
});
