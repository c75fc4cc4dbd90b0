/** Clients that are slow, fat, or mean: they are told so, and nobody else notices. */

import { createGzip } from "node:zlib";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { Limits } from "../../src/server/limits.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { sleep, within } from "../support/pipes.ts";
import { RawClient, post } from "../support/raw-client.ts";
import { ask, errorOf, jsonInput, starter } from "../support/server.ts";
import type { Answer, Running } from "../support/server.ts";

useFaultLibrary();
const start = starter(afterAll);
const clients: RawClient[] = [];
afterEach(() => clients.splice(0).forEach((client) => client.end()));

const MIB = 2 ** 20;
const PATH = "/v2/models/echo/infer";

const serve = (limits: Partial<Limits>): Promise<Running> =>
  start({ echo: { backend: "(shape=4)Fault", max: 4 } }, { limits });

function raw(port: number): RawClient {
  const client = new RawClient(port);
  clients.push(client);
  return client;
}

const request = (code: number = Fault.none, argument = 0): string =>
  JSON.stringify({ inputs: [jsonInput("input", "FP32", [1, 4], [code, argument, 0, 0])] });

/** An honest request, and how long it took. */
async function honest(port: number): Promise<number> {
  const startMs = performance.now();
  expect((await ask(port, PATH, { body: request() })).status).toBe(200);
  return performance.now() - startMs;
}

describe("slow clients", () => {
  it("have their connection ended, 500 that drip headers and bodies, and others go on", async () => {
    const { port } = await serve({ headerMs: 1500, transferMs: 1500, transferBytesPerS: 1000 });
    const dripping = Array.from({ length: 500 }, (_, i) =>
      raw(port).send(i % 2 === 0 ? "POST / HTTP/1.1\r\nHost" : post(PATH, ["Content-Length: 100000"])),
    );
    const drip = setInterval(() => dripping.forEach((client) => client.send("a")), 100);
    const tookMs: number[] = [];
    for (let i = 0; i < 20; i++) {
      tookMs.push(await honest(port));
      await sleep(50);
    }
    const texts = await within(Promise.all(dripping.map((client) => client.untilClosed())), "500", 15_000);
    clearInterval(drip);
    // Whoever still sends when the connection is closed may not get to read why.
    expect(texts.filter((text) => text !== "" && !text.startsWith("HTTP/1.1 408 "))).toEqual([]);
    expect(tookMs.toSorted((a, b) => a - b)[10]).toBeLessThan(1000);
    await honest(port);
  }, 30_000);

  it("are told so", async () => {
    const { port } = await serve({ headerMs: 300, transferMs: 300 });
    for (const part of ["POST / HTTP/1.1\r\nHost", post(PATH, ["Content-Length: 100000"])]) {
      expect(await raw(port).send(part).untilClosed()).toMatch(/^HTTP\/1\.1 408 [^]*{"error":"/);
    }
  });

  it("that do not read their answer do not keep it", async () => {
    const { port } = await serve({ transferMs: 500, transferBytesPerS: 100 * MIB });
    const client = raw(port);
    client.socket.pause();
    // More than the sockets' own buffers hold.
    client.send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n".repeat(8000));
    // Deno makes 8000 answers in 3 s, and in 20 where other tests want the processors too.
    await expect.poll(() => connections(port), { timeout: 25_000 }).toBe(0);
    await honest(port);
  }, 40_000);

  it("that are idle are closed", async () => {
    const { port } = await serve({ idleMs: 300, headerMs: 300 });
    const client = raw(port).send("GET /v2 HTTP/1.1\r\nHost: test\r\n\r\n");
    expect(await client.untilClosed()).toMatch(/^HTTP\/1\.1 200 /);
    expect(await raw(port).untilClosed()).toBe("");
  });

  it("make room for new ones when there are too many connections", async () => {
    const { port } = await serve({ connections: 20 });
    const idle = Array.from({ length: 30 }, () => raw(port));
    await within(Promise.all(idle.slice(0, 5).map(({ closed }) => closed)), "the oldest connections");
    expect(await honest(port)).toBeLessThan(5000);
  });

  it("are told when nobody can make room for them", async () => {
    const { port } = await serve({ connections: 2 });
    const busy = [1, 2].map(() => {
      const body = request(Fault.sleepMs, 600);
      return raw(port).send(post(PATH, [`Content-Length: ${body.length}`]) + body);
    });
    await sleep(200);
    expect(await raw(port).untilClosed()).toMatch(/^HTTP\/1\.1 503 [^]*retry-after/);
    for (const client of busy) expect(await client.statuses(1)).toEqual([200]);
  });
});

async function connections(port: number): Promise<number> {
  const text = (await ask(port, "/metrics")).body.toString();
  return Number(/^trtpipe_http_connections (\d+)$/m.exec(text)?.[1]) - 1;
}

describe("fat clients", () => {
  it("may say how long their body is, and are refused before it comes", async () => {
    const { port } = await serve({ bodyBytes: MIB });
    const client = raw(port).send(post(PATH, [`Content-Length: ${2 ** 40}`]));
    expect(await client.untilClosed()).toMatch(
      /^HTTP\/1\.1 413 [^]*"Cannot accept a body of more than 1048576/,
    );
  });

  it("are refused in the middle of a body without an end, and memory stays", async () => {
    const { port } = await serve({ bodyBytes: 8 * MIB });
    const chunk = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(MIB), Buffer.from("\r\n")]);
    await honest(port);
    const beforeBytes = process.memoryUsage().rss;
    let peakBytes = 0;
    for (let round = 0; round < 8; round++) {
      const client = raw(port).send(post(PATH, ["Transfer-Encoding: chunked"]));
      for (let i = 0; i < 1024 && !client.socket.destroyed && client.text === ""; i++) {
        if (!client.socket.write(chunk)) {
          await Promise.race([new Promise((resolve) => client.socket.once("drain", resolve)), client.closed]);
        }
        peakBytes = Math.max(peakBytes, process.memoryUsage().rss - beforeBytes);
      }
      expect(await client.untilClosed()).toMatch(/^HTTP\/1\.1 413 /);
    }
    expect(peakBytes / MIB).toBeLessThan(256);
    expect(await buffered(port)).toBe(0);
    await honest(port);
  }, 30_000);

  it("are refused when their body grows too large as it is unpacked", async () => {
    const { port } = await serve({ bodyBytes: 8 * MIB });
    const bomb = await zeros(512 * MIB);
    expect(bomb.length).toBeLessThan(MIB);
    const beforeBytes = process.memoryUsage().rss;
    const answer = await ask(port, PATH, { body: bomb, headers: { "content-encoding": "gzip" } });
    expect(answer.status).toBe(413);
    expect((process.memoryUsage().rss - beforeBytes) / MIB).toBeLessThan(128);
    expect(await buffered(port)).toBe(0);
    await honest(port);
  }, 30_000);

  it("share what there is for bodies, of which small ones have a part for themselves", async () => {
    const { port } = await serve({ bodyBytes: 16 * MIB, bufferedBytes: 20 * MIB });
    const fat = [1, 2].map(() => raw(port).send(post(PATH, [`Content-Length: ${12 * MIB}`])));
    for (const client of fat) client.send(new Uint8Array(11 * MIB));
    // One of them goes beyond the common share.
    await expect.poll(() => fat.filter(({ text }) => text.startsWith("HTTP/1.1 503 ")).length).toBe(1);
    await honest(port);
    fat.forEach((client) => client.end());
    await expect.poll(() => buffered(port)).toBe(0);
  });
});

async function buffered(port: number): Promise<number> {
  const text = (await ask(port, "/metrics")).body.toString();
  return Number(/^trtpipe_buffered_bytes (\d+)$/m.exec(text)?.[1]);
}

async function zeros(bytes: number): Promise<Buffer> {
  const gzip = createGzip();
  const chunks: Uint8Array[] = [];
  gzip.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  const done = new Promise((resolve) => gzip.once("end", resolve));
  const block = new Uint8Array(MIB);
  for (let i = 0; i < bytes / MIB; i++) {
    if (!gzip.write(block)) await new Promise((resolve) => gzip.once("drain", resolve));
  }
  gzip.end();
  await done;
  return Buffer.concat(chunks);
}

describe("mean clients", () => {
  const send = async (body: string | Uint8Array): Promise<Answer> => {
    const { port } = await serve({});
    const answer = await ask(port, PATH, { body });
    await honest(port);
    return answer;
  };

  it("cannot nest JSON so deeply that a parser falls over", async () => {
    for (const open of ["[", '{"a":']) {
      const answer = await send(open.repeat(250_000));
      expect([answer.status, errorOf(answer)]).toEqual([
        400,
        expect.stringContaining("nested deeper than 64"),
      ]);
    }
    expect((await send(`"${"[".repeat(250_000)}"`)).status).toBe(400);
  });

  it("cannot make millions of objects of it, or too much of it", async () => {
    expect((await send(`[${"[],".repeat(2_000_000)}[]]`)).status).toBe(413);
    const answer = await send(new Uint8Array(17 * MIB).fill(0x20));
    expect([answer.status, errorOf(answer)]).toEqual([413, expect.stringContaining("binary")]);
  });

  it("cannot send endless parameters, inputs or outputs", async () => {
    const parameters = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`p${i}`, i]));
    const good = JSON.parse(request()) as { inputs: object[] };
    for (const more of [
      { parameters },
      { inputs: [{ ...good.inputs[0], parameters }] },
      { inputs: Array.from({ length: 300 }, () => good.inputs[0]) },
      { outputs: Array.from({ length: 1_000_00 }, (_, i) => ({ name: `y${i}` })) },
      { outputs: [{ name: "output", parameters }] },
    ]) {
      expect((await send(JSON.stringify({ ...good, ...more }))).status).toBe(400);
    }
  });

  it.each([
    ["no HTTP", "HELLO\r\n\r\n", 400],
    ["an unknown method", "BREW / HTTP/1.1\r\nHost: test\r\n\r\n", 405],
    ["two lengths", post(PATH, ["Content-Length: 3", "Transfer-Encoding: chunked"]), 400],
    ["a negative length", post(PATH, ["Content-Length: -3"]), 400],
    [
      "5000 headers",
      post(
        PATH,
        Array.from({ length: 5000 }, (_, i) => `x${i}: 1`),
      ),
      431,
    ],
    ["a header of 100 kB", post(PATH, [`x: ${"y".repeat(100_000)}`]), 431],
  ])("are refused for %s", async (_, bytes, status) => {
    const { port } = await serve({});
    expect(await raw(port).send(bytes).untilClosed()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    await honest(port);
  });

  it("get their answers in their order when they do not wait for them", async () => {
    const { port } = await serve({});
    const slow = request(Fault.sleepMs, 200);
    const client = raw(port)
      .send(post(PATH, [`Content-Length: ${slow.length}`]) + slow)
      .send("GET /v2/nothing HTTP/1.1\r\nHost: test\r\n\r\nGET /v2 HTTP/1.1\r\nHost: test\r\n\r\n");
    expect(await client.statuses(3)).toEqual([200, 404, 200]);
  });

  it("are let go on when they wait for leave to send their body", async () => {
    const { port } = await serve({});
    const client = raw(port).send(
      post(PATH, [`Content-Length: ${request().length}`, "Expect: 100-continue"]),
    );
    expect(await client.statuses(1)).toEqual([100]);
    client.send(request());
    expect(await client.statuses(2)).toEqual([100, 200]);
  });
});

describe("the end of a server", () => {
  it("answers what was asked, refuses connections, and says on others that it is not ready", async () => {
    const { port, server } = await serve({});
    const waiting = raw(port).send("GET /v2/health/ready HTTP/1.1\r\nHost: test\r\n\r\n");
    expect(await waiting.statuses(1)).toEqual([200]);
    clients.push(new RawClient(port, true).send("GET /v2 HTTP/1.1\r\nHost: test\r\n\r\n"));
    const slow = ask(port, PATH, { body: request(Fault.sleepMs, 500) });
    await sleep(100);
    const closed = server.close();
    waiting.send("GET /v2/health/ready HTTP/1.1\r\nHost: test\r\n\r\n");
    expect(await waiting.statuses(2)).toEqual([200, 503]);
    expect(waiting.text).toContain("connection: close");
    await expect(ask(port, "/v2")).rejects.toThrow(/ECONNREFUSED|connect/i);
    expect((await slow).status).toBe(200);
    const answeredMs = performance.now();
    expect(await within(closed, "close()")).toBe(true);
    expect(performance.now() - answeredMs).toBeLessThan(1000);
  });

  it("gives up with 503 what is not done in time", async () => {
    const { port, server } = await start({ echo: { backend: "(shape=4)Fault", max: 1 } }, { drainMs: 200 });
    const running = ask(port, PATH, { body: request(Fault.sleepMs, 1500) });
    await sleep(100);
    const startMs = performance.now();
    const closed = server.close();
    expect((await running).status).toBe(503);
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(await within(closed, "close()")).toBe(false);
  });
});
