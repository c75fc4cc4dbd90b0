/** Long rows on their way to a device, past the caches or plainly: every byte, whatever array holds them. */

import { Buffer } from "node:buffer";
import { afterEach, describe, expect, it } from "vitest";
import { attach } from "trtpipe";
import type { Pipe, Tensor } from "trtpipe";
import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import { opener, within } from "../support/pipes.ts";
import { libraries, useFakeCuda } from "../support/tensorrt.ts";

useFakeCuda();
process.env.TRTPIPE_TENSORRT = libraries.tensorrt10;
const open = opener(afterEach);

/** More than 64 KiB and no whole number of anything, so that rows in slots begin at odd places, too. */
const COLUMNS = 70_001;

/** Slots of the size of a row, in and out, of which five are pinned; the others are staged. */
const openBytes = (pinned: number): Promise<Pipe> => {
  const graph = new GraphBuilder("identity");
  const x = graph.input("x", "uint8", ["N", COLUMNS]);
  graph.output(graph.node("Identity", [x], ["y"]), "uint8", ["N", COLUMNS]);
  return open({
    backend: "TensorrtTensor",
    model: graph.toBytes(),
    max: 4,
    max_callers: 2,
    pinned_bytes: pinned * 2 * COLUMNS,
  });
};

const memories: [string, (bytes: number) => ArrayBufferLike][] = [
  ["plain memory", (bytes) => new ArrayBuffer(bytes)],
  ["shared memory", (bytes) => new SharedArrayBuffer(bytes)],
  ["resizable memory", (bytes) => new ArrayBuffer(bytes, { maxByteLength: 2 * bytes })],
  ["growable shared memory", (bytes) => new SharedArrayBuffer(bytes, { maxByteLength: 2 * bytes })],
];

/** `rows` rows whose bytes differ from those of other seeds, from byte `offset` of such memory on. */
function filled(
  make: (bytes: number) => ArrayBufferLike,
  offset: number,
  rows: number,
  seed: number,
): Uint8Array {
  const bytes = new Uint8Array(make(offset + rows * COLUMNS + 9), offset, rows * COLUMNS);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 7 + (i >> 8) + seed * 31) % 251;
  return bytes;
}

async function isAnsweredRight(models: Pipe, data: Uint8Array): Promise<boolean> {
  const before = Buffer.from(data);
  const answered = models({ data });
  // What a caller does with its array afterwards is its own business.
  data.fill(255);
  const { result } = await within(answered, "the call");
  return Buffer.compare((result as Tensor<"uint8">).data, before) === 0;
}

describe.each([0, 5, 100])("with %i pinned slots", (pinned) => {
  it.each(memories)("rows of %s arrive as they were, from any offset", async (_, make) => {
    const models = await openBytes(pinned);
    const attached = attach(models.share()) as unknown as Pipe;
    const asked = [0, 1, 3, 8, 13, 63].flatMap((offset, i) =>
      [models, attached].map((caller, k) =>
        isAnsweredRight(caller, filled(make, offset, 1 + (i % 3), 2 * i + k)),
      ),
    );
    expect(await Promise.all(asked)).toEqual(asked.map(() => true));
    await attached.close();
  });
});

it("a row in pieces, of which some are long, arrives whole", async () => {
  const models = await openBytes(5);
  const row = filled((bytes) => new ArrayBuffer(bytes), 3, 2, 1);
  const ends = [1, 66_001, 66_004, 70_000, 70_002, 140_002];
  const pieces = ends.map((end, i) => row.slice(i === 0 ? 0 : ends[i - 1], end));
  const { result } = await within(models({ data: pieces }), "the call");
  expect(Buffer.compare((result as Tensor<"uint8">).data, row)).toBe(0);
});
