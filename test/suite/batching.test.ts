/** When batches go and how large they are: sizes, reasons, order, waits. Bounds in time are generous. */

import { afterAll, afterEach, describe, expect, it } from "vitest";
import { Tensor } from "trtpipe";
import type { BatchReason, Pipe, PipeStats } from "trtpipe";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { block, opener, sleep, within } from "../support/pipes.ts";

useFaultLibrary();
const open = opener(afterEach);

/** The Fault backend echoes, and sleeps as long as a row says. */
const BACKEND = "(shape=4)Fault";

function request(number: number, sleepMs = 0): { data: Float32Array } {
  return { data: Float32Array.of(sleepMs > 0 ? Fault.sleepMs : Fault.none, sleepMs, number, 0) };
}

/** Sends a request that keeps one instance busy, and waits until it runs. `done` is its answer. */
async function occupy(models: Pipe, ms: number): Promise<{ done: Promise<unknown> }> {
  const done = models(request(-1, ms));
  const deadlineMs = performance.now() + 5000;
  while (!models.stats().instances.some(({ state }) => state === "running")) {
    if (performance.now() > deadlineMs) throw new Error("The request never began to run");
    await sleep(1);
  }
  return { done };
}

/** How often each size was sent, by reason, without the sizes that never were. */
function sizes(stats: PipeStats): Partial<Record<BatchReason, Record<number, number>>> {
  const found: Partial<Record<BatchReason, Record<number, number>>> = {};
  for (const [reason, counts] of Object.entries(stats.sizes)) {
    const used = Object.fromEntries(
      counts.map((count, size) => [size, count]).filter(([, count]) => count > 0),
    );
    if (Object.keys(used).length > 0) found[reason as BatchReason] = used;
  }
  return found;
}

/** What was counted between two readings. */
function since(before: PipeStats, after: PipeStats): { batches: number; rows: number } {
  return { batches: after.batches - before.batches, rows: after.rows - before.rows };
}

describe("a lone request", () => {
  it("goes at once where an instance is idle, however long the batching timeout", async () => {
    const models = await open({ backend: BACKEND, max: 4, batching_timeout: 60_000 });
    const startMs = performance.now();
    for (let n = 0; n < 5; n++) await within(models(request(n)), "a lone request");
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect(sizes(models.stats())).toEqual({ idle: { 1: 5 } });
  });

  it("goes at once when the last running batch ends, however long the batching timeout", async () => {
    const models = await open({ backend: BACKEND, max: 4, batching_timeout: 60_000, instance_num: 2 });
    const startMs = performance.now();
    const busy = await occupy(models, 150);
    await within(models(request(1)), "the request behind");
    await busy.done;
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect(sizes(models.stats())).toEqual({ idle: { 1: 2 } });
  });

  it("waits no longer than the batching timeout while another instance runs", async () => {
    const models = await open({ backend: BACKEND, max: 4, batching_timeout: 50, instance_num: 2 });
    const busy = await occupy(models, 800);
    const startMs = performance.now();
    await within(models(request(1)), "the request beside");
    const waitedMs = performance.now() - startMs;
    expect(waitedMs).toBeGreaterThan(40);
    expect(waitedMs).toBeLessThan(600);
    await busy.done;
    expect(sizes(models.stats())).toEqual({ idle: { 1: 1 }, timeout: { 1: 1 } });
  });

  it("does not wait at all with a batching timeout of 0", async () => {
    const models = await open({ backend: BACKEND, max: 4, instance_num: 2 });
    const busy = await occupy(models, 500);
    const startMs = performance.now();
    await within(models(request(1)), "the request beside");
    expect(performance.now() - startMs).toBeLessThan(300);
    await busy.done;
    expect(sizes(models.stats())).toEqual({ idle: { 1: 1 }, timeout: { 1: 1 } });
  });
});

describe("requests that come while every instance is busy", () => {
  it("go together, in batches of at most max", async () => {
    const models = await open({ backend: BACKEND, max: 4, batching_timeout: 5 });
    const busy = await occupy(models, 100);
    await within(models(Array.from({ length: 10 }, (_, n) => request(n))), "ten requests");
    await busy.done;
    expect(sizes(models.stats())).toEqual({ idle: { 1: 1, 2: 1 }, full: { 4: 2 } });
  });

  it("are counted as queued, and those that an instance has as running", async () => {
    const models = await open({ backend: BACKEND, max: 4, batching_timeout: 5 });
    expect(models.stats()).toMatchObject({ queued: 0, running: 0 });
    const busy = await occupy(models, 300);
    const aborter = new AbortController();
    const given = models(request(0), { signal: aborter.signal });
    const calls = models(Array.from({ length: 10 }, (_, n) => request(n)));
    expect(models.stats()).toMatchObject({ queued: 11, running: 1 });
    aborter.abort();
    await expect(given).rejects.toThrow("abort");
    expect(models.stats()).toMatchObject({ queued: 10, running: 1, inFlight: 11 });
    await within(calls, "ten requests");
    await busy.done;
    expect(models.stats()).toMatchObject({ queued: 0, running: 0, inFlight: 0 });
  });

  it("wake nobody, and those that come while all sleep wake one, once a turn", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const asleep = async (): Promise<void> => {
      while (models.stats().instances[0].state !== "parked") await sleep(1);
    };
    await within(asleep(), "its sleep");
    const before = models.stats().wakes;
    await within(Promise.all([1, 2, 3].map((n) => models(request(n)))), "three requests");
    await within(asleep(), "its sleep");
    expect(models.stats().wakes).toBe(before + 1);
    const busy = await occupy(models, 200);
    const calls = Promise.all([1, 2, 3].map((n) => models(request(n))));
    await within(calls, "three requests");
    await busy.done;
    await within(asleep(), "its sleep");
    expect(models.stats().wakes).toBe(before + 2);
  });

  it("go together with a batching timeout of 0, too", async () => {
    const models = await open({ backend: BACKEND, max: 8 });
    const busy = await occupy(models, 100);
    await within(models(Array.from({ length: 5 }, (_, n) => request(n))), "five requests");
    await busy.done;
    expect(sizes(models.stats())).toEqual({ idle: { 1: 1, 5: 1 } });
  });

  it("fill batches up with rows of requests of several rows, and never beyond max", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const before = models.stats();
    const inputs = [3, 3, 7, 1, 2].map((rows) => ({ data: new Float32Array(rows * 4) }));
    const busy = await occupy(models, 100);
    await within(models(inputs), "the requests");
    await busy.done;
    expect(since(before, models.stats())).toEqual({ batches: 5, rows: 17 });
    expect(sizes(models.stats())).toEqual({ idle: { 1: 1 }, full: { 4: 4 } });
  });
});

describe("ten clients, batches of four, two instances", () => {
  it("never make a batch larger than four, and every counter adds up", async () => {
    const models = await open({ backend: BACKEND, max: 4, batching_timeout: 2, instance_num: 2 });
    const client = async (number: number): Promise<void> => {
      for (let n = 0; n < 30; n++) {
        const { result } = await models(request(number * 100 + n, n % 3));
        expect((result as Tensor).data[2]).toBe(number * 100 + n);
      }
    };
    await within(Promise.all(Array.from({ length: 10 }, (_, n) => client(n))), "the clients", 20_000);
    const stats = models.stats();
    expect(stats).toMatchObject({
      submitted: 300,
      succeeded: 300,
      failed: 0,
      refused: 0,
      inFlight: 0,
      rows: 300,
    });
    const counted = Object.values(stats.sizes).flatMap((counts) =>
      counts.map((count, size) => ({ count, size })),
    );
    expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(stats.batches);
    expect(counted.reduce((sum, { count, size }) => sum + count * size, 0)).toBe(300);
    expect(Object.values(stats.sizes).map((counts) => counts.length)).toEqual([5, 5, 5, 5]);
    expect(Object.values(stats.reasons).reduce((sum, count) => sum + count, 0)).toBe(stats.batches);
    expect(stats.instances.reduce((sum, { rows }) => sum + rows, 0)).toBe(300);
    expect(stats.instances.reduce((sum, { batches }) => sum + batches, 0)).toBe(stats.batches);
    expect(stats.meanBatch).toBeCloseTo(300 / stats.batches, 9);
    expect(stats.meanRunMs).toBeGreaterThan(0);
    expect(stats.meanWaitMs).toBeGreaterThanOrEqual(0);
    expect(stats.freeSlots).toBe(models.describe().maxQueue);
  });
});

describe("one caller's requests", () => {
  it("are run in the order of the calls", async () => {
    const models = await open({ backend: BACKEND, max: 1 });
    const startMs = performance.now();
    const calls = Array.from({ length: 10 }, async (_, n) => {
      await models(request(n, 15));
      return performance.now() - startMs;
    });
    const answeredMs = await within(Promise.all(calls), "the calls");
    // Two that are answered in one look settle in either order, within a moment.
    const overtaken = answeredMs.filter((ms, n) => n > 0 && ms < answeredMs[n - 1] - 7);
    expect(overtaken).toEqual([]);
  });
});

describe("a request", () => {
  it("is not held back by its own caller's event loop", async () => {
    const models = await open({ backend: BACKEND, max: 8 });
    const before = models.stats();
    const calls = Array.from({ length: 64 }, (_, n) => models(request(n)));
    // This thread has not come to its event loop since; the bell rang at every full batch.
    block(300);
    expect(since(before, models.stats()).rows).toBeGreaterThan(0);
    await within(Promise.all(calls), "the calls");
  });
});

describe("a batch", () => {
  const min = opener(afterAll);

  it("smaller than min is padded, which nobody sees", async () => {
    const models = await min({ backend: BACKEND, max: 8, min: 4 });
    const { result } = await within(models(request(5)), "the request");
    expect((result as Tensor).shape).toEqual([1, 4]);
    expect(models.stats()).toMatchObject({ rows: 1 });
  });
});
