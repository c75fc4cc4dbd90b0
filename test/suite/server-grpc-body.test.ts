/** Messages of gRPC as clients may put them on the wire: in any pieces, compressed, or never whole. */

import type { ClientHttp2Session } from "node:http2";
import { deflateSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sumAndProductModel } from "../models.ts";
import { encoded, framed, rawCall, rawConnector } from "../support/grpc-raw.ts";
import type { RawAnswer } from "../support/grpc-raw.ts";
import type { Message } from "../support/grpc.ts";
import { sleep, within } from "../support/pipes.ts";
import { ask, starter } from "../support/server.ts";
import type { Running } from "../support/server.ts";

const MIB = 2 ** 20;
const start = starter(afterAll);
const connect = rawConnector(afterAll);
const models = {
  pair: { backend: "OnnxTensor", model: sumAndProductModel(), max: 4 },
  echo: { backend: `(shape=${MIB / 4})Identity`, max: 1 },
};
const TRANSFER_MS = 300;
let running: Running;
let slow: Running;
let session: ClientHttp2Session;

beforeAll(async () => {
  const limits = { bodyBytes: 16 * MIB, bufferedBytes: 24 * MIB };
  running = await start(models, { grpcPort: 0, limits });
  const patience = { transferMs: TRANSFER_MS, transferBytesPerS: 1024 };
  slow = await start(models, { grpcPort: 0, limits: patience });
  session = connect(running.grpcPort!);
});

const floats = (values: readonly number[]): Buffer => Buffer.from(new Float32Array(values).buffer);
const [a, b] = [floats([1, 2, 3, 4]), floats([10, 20, 30, 40])];
const inputs = ["b", "a"].map((name) => ({ name, datatype: "FP32", shape: [1, 4] }));
const others = encoded({ model_name: "pair", id: "7", inputs });
const pair = encoded({ model_name: "pair", id: "7", inputs, raw_input_contents: [b, a] });
const answers = [floats([11, 22, 33, 44]), floats([10, 40, 90, 160])];
const right = { status: 0, messages: [{ id: "7", raw_output_contents: answers }] };
// Field 100 as a varint, as 8 bytes, as a text of one, and as 4 bytes.
const unknown = hex("a0068001a1060000000000000000a2060109a50600000000");
const echo = (rows: number): Message => ({
  model_name: "echo",
  inputs: [{ name: "input", datatype: "FP32", shape: [rows, MIB / 4] }],
});

/** One message, in these pieces, and what comes back. */
async function send(pieces: Iterable<Buffer>, headers: Record<string, string> = {}): Promise<RawAnswer> {
  const { stream, answer } = rawCall(session, headers);
  for (const piece of pieces) await new Promise((resolve) => stream.write(piece, resolve));
  stream.end();
  return within(answer, "an answer");
}

function* cut(bytes: Buffer, size: number): Iterable<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function bufferedBytes(port = running.port): Promise<number> {
  const text = (await ask(port, "/metrics")).body.toString();
  return Number(/^trtpipe_buffered_bytes (\d+)$/m.exec(text)?.[1]);
}

describe("a message", () => {
  it.each([1, 2, 5, 6, 16, 61])("is read from pieces of %i bytes", async (size) => {
    expect(await send(cut(framed(pair), size))).toMatchObject(right);
  });

  const raw = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0x3a, bytes.length]), bytes]);
  it.each<[string, Buffer]>([
    ["with its bytes in front", Buffer.concat([raw(b), raw(a), others])],
    ["with its bytes around", Buffer.concat([raw(b), others, raw(a)])],
    ["with fields that are not known", Buffer.concat([unknown, pair])],
    ["with a group, which nobody writes any more", Buffer.concat([hex("a3060801a406"), pair])],
  ])("is read %s", async (_, message) => {
    expect(await send(cut(framed(message), 7))).toMatchObject(right);
  });

  it.each<[string, Buffer]>([
    ["ends in the middle", pair.subarray(0, -1)],
    ["ends in a tag", Buffer.concat([pair, hex("ba")])],
    ["has a wire type that there is not", Buffer.concat([hex("47"), pair])],
    ["has a length without an end", Buffer.concat([pair, hex("3affffffffffffffffffff01")])],
  ])("is refused when it %s", async (_, message) => {
    expect((await send(cut(framed(message), 16))).status).toBe(13);
    expect((await send([framed(message)])).status).toBe(13);
    expect(await bufferedBytes()).toBe(0);
  });
});

describe("a compressed message", () => {
  it.each([
    ["gzip", gzipSync],
    ["deflate", deflateSync],
  ] as const)("is read from %s, and counts until it is used", async (encoding, compress) => {
    const data = Buffer.alloc(2 * MIB, 7);
    const message = encoded({ ...echo(2), raw_input_contents: [data] });
    const headers = { "grpc-encoding": encoding };
    const { status, messages } = await send(cut(framed(compress(message), true), 1000), headers);
    expect(status).toBe(0);
    expect((messages[0].raw_output_contents as Buffer[])[0].equals(data)).toBe(true);
    expect(await send([framed(pair)], headers)).toMatchObject(right);
    expect(await bufferedBytes()).toBe(0);
  });

  it.each<[string, string, Buffer, number]>([
    ["becomes too large", "gzip", gzipSync(Buffer.alloc(64 * MIB)), 8],
    ["is not what it says", "gzip", Buffer.from("no gzip"), 3],
    ["ends too early", "deflate", deflateSync(pair).subarray(0, -8), 3],
    ["has an encoding that there is not", "br", pair, 12],
  ])("is refused when it %s", async (_, encoding, message, status) => {
    const answer = await send([framed(message, true)], { "grpc-encoding": encoding });
    expect(answer).toMatchObject({ status, details: expect.stringMatching(/^Cannot /) as string });
    await expect.poll(() => bufferedBytes()).toBe(0);
  });
});

describe("messages together", () => {
  it("may not fill the memory, leave room for small ones, and give theirs back with the call", async () => {
    const fat = rawCall(session);
    await new Promise((resolve) =>
      fat.stream.write(framed(Buffer.alloc(11 * MIB), false, 12 * MIB), resolve),
    );
    await expect.poll(() => bufferedBytes()).toBe(11 * MIB);
    const more = encoded({ ...echo(8), raw_input_contents: [Buffer.alloc(8 * MIB)] });
    const refused = await send([framed(more)]);
    expect(refused).toMatchObject({ status: 14, details: expect.stringContaining("into memory") as string });
    expect(await send([framed(pair)])).toMatchObject(right);
    fat.stream.close();
    await expect.poll(() => bufferedBytes()).toBe(0);
    expect((await send([framed(more)])).status).toBe(0);
  });

  it("are refused by the length that they announce, before they come", async () => {
    const { stream, answer } = rawCall(session);
    stream.write(framed(Buffer.alloc(0), false, 16 * MIB + 1));
    expect(await within(answer, "an answer")).toMatchObject({ status: 8 });
  });
});

describe("a client that is slow", () => {
  it.each<[string, Buffer]>([
    ["a part of a message", framed(pair, false, MIB)],
    ["a message, and not that it is the last", framed(pair)],
    ["nothing", Buffer.alloc(0)],
  ])("is told so when it sends %s", async (_, bytes) => {
    const { stream, answer } = rawCall(connect(slow.grpcPort!));
    stream.write(bytes);
    const told = { status: 4, details: "Cannot wait for the rest of the message any longer" };
    expect(await within(answer, "an answer")).toMatchObject(told);
    await expect.poll(() => bufferedBytes(slow.port)).toBe(0);
  });

  it("may wait between the messages of a stream, and not in one", async () => {
    const path = "/inference.GRPCInferenceService/ModelStreamInfer";
    const { stream, answer } = rawCall(connect(slow.grpcPort!), { ":path": path });
    let came = 0;
    stream.on("data", () => came++);
    for (let i = 1; i <= 2; i++) {
      await sleep(2 * TRANSFER_MS + 200);
      stream.write(framed(pair));
      await expect.poll(() => came).toBeGreaterThanOrEqual(i);
    }
    stream.write(framed(pair).subarray(0, -1));
    expect(await within(answer, "the end")).toMatchObject({ status: 4 });
  });
});

describe("connections", () => {
  it("are limited, and one that ends makes room", async () => {
    const { grpcPort } = await start(models, { grpcPort: 0, limits: { connections: 2 } });
    const ask1 = (): [ClientHttp2Session, Promise<RawAnswer>] => {
      const own = connect(grpcPort!);
      const { stream, answer } = rawCall(own);
      stream.end(framed(pair));
      return [own, within(answer, "an answer")];
    };
    const [[first, one], [, two]] = [ask1(), ask1()];
    expect(await Promise.all([one, two])).toMatchObject([right, right]);
    expect((await ask1()[1]).status).toBeNaN();
    first.destroy();
    await expect.poll(async () => (await ask1()[1]).status).toBe(0);
  });
});

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}
