/** Slow, fat and lying clients all at once, and honest ones among them: a short form of `npm run crowd`. */

import { gzipSync } from "node:zlib";
import { afterAll, expect, it } from "vitest";
import { crowd, faultsOf } from "../crowd/crowd.ts";
import { useFaultLibrary } from "../support/fault.ts";
import { sleep } from "../support/pipes.ts";
import { RawClient, post } from "../support/raw-client.ts";
import { ask, jsonInput, starter } from "../support/server.ts";

useFaultLibrary();
const start = starter(afterAll);
const { bun, deno } = process.versions;
const scripts = deno === undefined ? [] : ["run", "-A"];
const typed = bun !== undefined || deno !== undefined ? scripts : ["--import", "tsx"];

it("hold up nobody else, and take bounded memory", { timeout: 120_000, retry: 1 }, async () => {
  const figures = await crowd({
    server: [process.execPath, ...scripts],
    clients: [process.execPath, ...typed],
    seconds: 10,
    dripping: 500,
  });
  // The suites share the machine: 500 ms is what the command holds.
  expect(faultsOf(figures, 1500)).toEqual([]);
  expect(figures.requests).toBeGreaterThan(100);
});

it("leave nothing behind when they leave while their body is unpacked", async () => {
  const { port } = await start({ echo: { backend: "(shape=4)Fault" } });
  const buffered = async (): Promise<number> => {
    const text = (await ask(port, "/metrics")).body.toString();
    return Number(/^trtpipe_buffered_bytes (\d+)$/m.exec(text)?.[1]);
  };
  const bomb = gzipSync(Buffer.alloc(100 * 2 ** 20));
  const path = "/v2/models/echo/infer";
  const head = post(path, [`Content-Length: ${bomb.length}`, "Content-Encoding: gzip"]);
  for (let round = 0; round < 8; round++) {
    const client = new RawClient(port).send(head).send(bomb);
    await sleep(20 + round * 5);
    client.end();
  }
  await expect.poll(buffered, { timeout: 10_000 }).toBe(0);
  // What is on its way through a decoder must not be counted when it comes out.
  await sleep(1000);
  expect(await buffered()).toBe(0);
  const body = JSON.stringify({ inputs: [jsonInput("input", "FP32", [1, 4], [0, 1, 2, 3])] });
  expect((await ask(port, path, { body })).status).toBe(200);
}, 30_000);
