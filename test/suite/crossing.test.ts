/** Nobody gets anybody else's rows: each row carries who asked for it. */

import { afterAll, afterEach, describe, expect, it } from "vitest";
import { Tensor } from "trtpipe";
import type { Pipe } from "trtpipe";
import { channelLayout } from "../../src/memory/layout.ts";
import type { ChannelBuffers, MemoryShape } from "../../src/memory/layout.ts";
import { Pool } from "../../src/memory/pool.ts";
import { callers } from "../support/caller-thread.ts";
import { affineModel } from "../support/models.ts";
import { opener, within } from "../support/pipes.ts";

const open = opener(afterAll);
const caller = callers(afterEach);

const CALLERS = 64;
const REQUESTS = 25;

/** One caller that asks again and again; resolves with how many of its values came back wrong. */
async function client(models: Pipe, first: number, answer: (value: number) => number): Promise<number> {
  let wrong = 0;
  for (let n = 0; n < REQUESTS; n++) {
    const rows = 1 + ((first + n) % 6);
    const data = Float32Array.from({ length: rows * 4 }, (_, i) => first * 1000 + n * 24 + i);
    const { result } = await models({ data });
    const values = (result as Tensor).data as Float32Array;
    if (values.length !== data.length) wrong++;
    for (let i = 0; i < data.length; i++) if (values[i] !== answer(data[i])) wrong++;
  }
  return wrong;
}

async function clients(models: Pipe, answer: (value: number) => number): Promise<number[]> {
  const all = Array.from({ length: CALLERS }, (_, i) => client(models, i + 1, answer));
  return within(Promise.all(all), "the clients", 30_000);
}

const NOTHING_WRONG = Array.from({ length: CALLERS }, () => 0);
const same = (value: number): number => value;
const affine = (value: number): number => 2 * value + 1;

describe.each([
  { instance_num: 1, max: 1 },
  { instance_num: 1, max: 16 },
  { instance_num: 3, max: 4, batching_timeout: 1 },
])("64 callers at once, $instance_num instances, batches of $max", (config) => {
  it("get their own rows from Identity", async () => {
    const models = await open({ backend: "(shape=4)Identity", ...config });
    expect(await clients(models, same)).toEqual(NOTHING_WRONG);
    expect(models.stats()).toMatchObject({ succeeded: CALLERS * REQUESTS, failed: 0, staleCompletions: 0 });
  });

  it("get their own rows from ONNX Runtime", async () => {
    const models = await open({ backend: "OnnxTensor", model: affineModel(), ...config });
    expect(await clients(models, affine)).toEqual(NOTHING_WRONG);
  });
});

describe("several pipes at once", () => {
  it("keep their rows apart", async () => {
    const [identity, onnx, other] = await Promise.all([
      open({ backend: "(shape=4)Identity", max: 8, instance_num: 2 }),
      open({ backend: "OnnxTensor", model: affineModel(), max: 4 }),
      open({ backend: "OnnxTensor", model: affineModel(), max: 2, session: "own", instance_num: 2 }),
    ]);
    const all = await Promise.all([clients(identity, same), clients(onnx, affine), clients(other, affine)]);
    expect(all).toEqual([NOTHING_WRONG, NOTHING_WRONG, NOTHING_WRONG]);
  });

  it("do not end each other", async () => {
    const [first, second] = await Promise.all([
      open({ backend: "OnnxTensor", model: affineModel() }),
      open({ backend: "OnnxTensor", model: affineModel() }),
    ]);
    const running = clients(second, affine);
    await within(first.close(), "close()");
    expect(await running).toEqual(NOTHING_WRONG);
  });
});

describe("callers in Workers and on the main thread", () => {
  it("get their own rows", async () => {
    const models = await open({ backend: "(shape=4)Identity", max: 8, instance_num: 2 });
    const threads = await Promise.all(Array.from({ length: 4 }, () => caller(models.share())));
    const counts = { count: 16, requests: 100, rowsMax: 5 };
    const inWorkers = threads.map((thread, i) =>
      thread.ask("clients", { ...counts, first: (i + 1) * 2_000_000 }),
    );
    expect(await clients(models, same)).toEqual(NOTHING_WRONG);
    expect(await Promise.all(inWorkers)).toEqual([0, 0, 0, 0]);
    expect(models.stats().staleCompletions).toBe(0);
  });
});

/** Sets all counters of a pipe that nobody has called yet to where they would be after very many requests. */
function wind(models: Pipe, start: number): void {
  const shared = models.share() as unknown as {
    shape: MemoryShape;
    pool: SharedArrayBuffer;
    channels: ChannelBuffers[];
  };
  const layout = channelLayout(shared.shape);
  for (const { control } of shared.channels) {
    const words = new Int32Array(control);
    // Head first: a leader must never see more in the ring than there is.
    for (const at of [layout.head, layout.tail, layout.bell]) Atomics.store(words, at, start);
    // Each slot's generation is 16 bits, which wrap much sooner.
    for (let slot = 0; slot < shared.shape.slots; slot++) {
      Atomics.store(words, layout.word + slot, 0xfffe << 16);
    }
  }
  const pool = new Pool(shared.shape, shared.pool);
  for (let i = 0; i < shared.shape.instances; i++) {
    Atomics.store(pool.words, pool.layout.instances + i * 16 + 1, start);
    Atomics.notify(pool.words, pool.layout.instances + i * 16 + 1);
  }
}

describe("counters", () => {
  it.each([2 ** 31 - 50, 2 ** 32 - 50])("may pass 2^31 and 2^32: they begin at %d", async (start) => {
    const models = await open({ backend: "(shape=4)Identity", max: 4, instance_num: 2, max_queue: 512 });
    wind(models, start | 0);
    const thread = await caller(models.share());
    const inWorker = thread.ask("clients", { count: 8, requests: 50, rowsMax: 5, first: 9_000_000 });
    expect(await clients(models, same)).toEqual(NOTHING_WRONG);
    expect(await inWorker).toBe(0);
    expect(models.stats()).toMatchObject({ failed: 0, refused: 0, freeSlots: 512, staleCompletions: 0 });
  });
});
