/** Callers, pipes and shapes that could get into each other's way, and do not. */

import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { Tensor, TimeoutError, attach } from "trtpipe";
import type { Pipe, PipeInput } from "trtpipe";
import { callers } from "../support/caller-thread.ts";
import { runChild } from "../support/child.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { openShapeModel } from "../models.ts";
import { block, opener, rejection, sleep, within } from "../support/pipes.ts";

useFaultLibrary();
const open = opener(afterAll);
const caller = callers(afterAll);

const BACKEND = "(shape=4)Fault";
const ECHO = "(shape=4)Identity";
const quick = (): { data: Float32Array } => ({ data: new Float32Array(4) });
const slow = (ms: number): { data: Float32Array } => ({ data: Float32Array.of(Fault.sleepMs, ms, 0, 0) });

/** ms of `count` round trips, one after the other, sorted. */
async function roundTrips(models: Pipe, count: number): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; n < count; n++) {
    const startMs = performance.now();
    await within(models(quick()), "a call");
    took.push(performance.now() - startMs);
  }
  return took.toSorted((a, b) => a - b);
}

describe("two pipes, one of them saturated", () => {
  it("do not slow each other: of a hundred calls, 99 are as quick as alone", async () => {
    const busy = await open({ backend: BACKEND, instance_num: 2, max: 2, max_queue: 64 });
    const free = await open({ backend: BACKEND });
    const [alone] = [(await roundTrips(free, 100))[98]];
    const running = Promise.all(Array.from({ length: 32 }, () => busy(slow(100))));
    await sleep(20);
    const beside = (await roundTrips(free, 100))[98];
    expect(busy.stats().inFlight).toBeGreaterThan(0);
    // A run of the other pipe takes 100 ms; a busy machine is worth a part of that.
    expect(beside).toBeLessThan(Math.max(2 * alone, 50));
    await within(running, "the slow calls");
  });
});

describe("a caller whose event loop is held up", () => {
  it("holds up nobody else: others are answered meanwhile", async () => {
    const models = await open({ backend: ECHO, max: 4, instance_num: 2 });
    const [blocked, other] = await Promise.all([caller(models.share()), caller(models.share())]);
    await blocked.begin(1, new Float32Array(4), 1500);
    const startMs = performance.now();
    const wrong = await other.ask("clients", { count: 4, requests: 50, rowsMax: 3, first: 1 });
    await within(models(quick()), "the owner's call");
    expect(performance.now() - startMs).toBeLessThan(1200);
    expect(wrong).toBe(0);
    expect(await blocked.ask("settle", 1)).toHaveLength(1);
  });

  it("may be the pipe's owner: Workers are answered all the same", async () => {
    const models = await open({ backend: ECHO, max: 4, instance_num: 2 });
    const thread = await caller(models.share());
    const { batches } = models.stats();
    const asked = thread.ask("clients", { count: 4, requests: 50, rowsMax: 3, first: 1 });
    block(1500);
    // Nothing of this thread has run since: the counters tell what the others did meanwhile.
    const { rows } = models.stats();
    expect(models.stats().batches).toBeGreaterThan(batches);
    expect(await asked).toBe(0);
    expect(models.stats().rows).toBe(rows);
  });
});

describe("rows of two shapes", () => {
  it("share the instance: an endless load of one does not keep the other waiting", async () => {
    const model = openShapeModel();
    const config = { backend: "OnnxTensor", model, max: "4x8x8", max_queue: 256, intra_op_threads: 1 };
    const models = await open(config);
    const shaped = (side: number): { data: Tensor } => ({
      data: Tensor.from(new Float32Array(side * side).fill(side), { shape: [1, side, side] }),
    });
    const stop = new AbortController();
    const load = Array.from({ length: 64 }, async () => {
      while (!stop.signal.aborted) await models(shaped(8));
    });
    await sleep(50);
    const before = models.stats().batches;
    const { result } = await within(models(shaped(3)), "the other shape");
    const between = models.stats().batches - before;
    stop.abort();
    await within(Promise.all(load), "the load");
    expect((result as Tensor).shape).toEqual([1, 3, 3]);
    // What waited before it goes first, 64 rows at most. The rest is what came before this caller looked.
    expect(between).toBeLessThanOrEqual(100);
  });
});

describe("a handle", () => {
  it("goes to 32 Workers, twice to one thread, and through structuredClone", async () => {
    const models = await open({ backend: ECHO, max: 4, max_callers: 40, instance_num: 2 });
    const threads = await Promise.all(
      Array.from({ length: 32 }, () => caller(structuredClone(models.share()))),
    );
    const asked = threads.map((thread, i) =>
      thread.ask("clients", { count: 2, requests: 10, rowsMax: 2, first: i * 1000 }),
    );
    expect(await Promise.all(asked)).toEqual(threads.map(() => 0));
    const [first, second] = [attach(models.share()), attach(structuredClone(models.share()))];
    const both = [first(quick()), second(quick()), first(quick())];
    expect(await within(Promise.all(both), "the calls")).toHaveLength(3);
    await within(Promise.all([first.close(), second.close()]), "close()");
  }, 60_000);
});

describe("the wall clock", () => {
  afterEach(() => vi.restoreAllMocks());

  it("may jump by an hour, back and forth: timeouts and batches keep their time", async () => {
    const models = await open({ backend: BACKEND, max: 4, batching_timeout: 20 });
    const now = Date.now.bind(Date);
    let calls = 0;
    const hour = 3_600_000;
    vi.spyOn(Date, "now").mockImplementation(() => now() + (calls++ % 2 === 0 ? hour : -hour));
    const running = models(slow(400));
    await sleep(20);
    const startMs = performance.now();
    const error = await rejection(models(quick(), { timeout: 150 }));
    const tookMs = performance.now() - startMs;
    expect(error).toBeInstanceOf(TimeoutError);
    expect((error as TimeoutError).waitedMs).toBeGreaterThanOrEqual(149);
    expect(tookMs).toBeGreaterThanOrEqual(149);
    expect(tookMs).toBeLessThan(400);
    await within(running, "the running call");
    expect(models.stats().meanRunMs).toBeLessThan(1500);
  });
});

describe("a promise that nobody awaits", () => {
  it("is the only unhandled rejection, once for each request that failed", async () => {
    const { code, lines, stderr } = await runChild("test/support/dropped.mjs");
    expect({ code, lines }).toEqual({
      code: 0,
      lines: ["TP_EXEC", "TP_INPUT", "TP_QUEUE_FULL", "TP_TIMEOUT", "TP_CLOSED", "5 unhandled"],
    });
    expect(stderr).toBe("");
  });
});

describe("code of the caller's that runs while a request settles", () => {
  it("may ask again from a result's setter, or throw", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const inner: Promise<unknown>[] = [];
    const inputs: PipeInput[] = [quick(), quick(), quick(), quick(), quick()];
    const calls = inputs.map((input) => models(input));
    for (const throws of [false, true]) {
      const set = (): void => {
        inner.push(models(quick()));
        if (throws) throw new Error("the setter's own");
      };
      Object.defineProperty(inputs[throws ? 3 : 1], "result", { set });
    }
    const settled = await within(Promise.allSettled(calls), "the calls");
    expect(settled.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect((settled[3] as PromiseRejectedResult).reason).toMatchObject({ code: "TP_INPUT", input: "result" });
    expect(inner).toHaveLength(2);
    await within(Promise.all(inner), "the inner calls");
    expect(models.stats()).toMatchObject({ inFlight: 0, freeSlots: 1024 });
  });

  it("may go on for ten thousand calls, each from where the last one settled", async () => {
    const models = await open({ backend: ECHO });
    let left = 10_000;
    const again = (): Promise<unknown> | undefined => (left-- > 0 ? models(quick()).then(again) : undefined);
    await within(models(quick()).then(again), "the calls", 30_000);
    expect(models.stats()).toMatchObject({ succeeded: 10_001, inFlight: 0 });
  });
});
