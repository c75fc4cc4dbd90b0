/** The cases that the promises are first asked about, at full size. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, describe, expect, it } from "vitest";
import { TimeoutError } from "trtpipe";
import { countedSignal } from "../support/counted-signal.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { opener, rejection, sleep, within } from "../support/pipes.ts";

useFaultLibrary();
const open = opener(afterAll);

const BACKEND = "(shape=2)Fault";
const quick = (): { data: Float32Array } => ({ data: new Float32Array(2) });
const slow = (ms: number): { data: Float32Array } => ({ data: Float32Array.of(Fault.sleepMs, ms) });

describe("a timeout of 200 ms behind a run of 3 s", () => {
  it("rejects after 200 to 450 ms, and its rows never run", async () => {
    const models = await open({ backend: BACKEND, max: 4, max_queue: 64 });
    const running = models(slow(3000));
    await sleep(50);
    const startMs = performance.now();
    const took = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const data = new Float32Array(2 * 3);
        const error = await rejection(models({ data }, { timeout: 200 }), "the call");
        expect(error).toBeInstanceOf(TimeoutError);
        return performance.now() - startMs;
      }),
    );
    for (const ms of took) {
      expect(ms).toBeGreaterThanOrEqual(199);
      expect(ms).toBeLessThanOrEqual(450);
    }
    expect(models.stats()).toMatchObject({ inFlight: 1, failed: 20, freeSlots: 63 });
    await within(running, "the running call");
    await within(models(quick()), "a later call");
    // The row that ran for 3 s and the one after it.
    expect(models.stats()).toMatchObject({ rows: 2, succeeded: 2, inFlight: 0, freeSlots: 64 });
  }, 30_000);
});

describe("100 000 requests that are aborted", () => {
  it("leave no slot, no listener and no memory behind", async () => {
    const models = await open({ backend: BACKEND, max: 8, max_queue: 256 });
    const lasting = countedSignal();
    /** 200 requests on a signal of their own, aborted while they wait, run, or are done. */
    const round = async (n: number): Promise<void> => {
      const own = countedSignal();
      await within(models.room(200), "room for the next two hundred");
      const calls = Array.from({ length: 200 }, (_, i) =>
        models(quick(), { signal: i % 2 === 0 ? own.signal : AbortSignal.any([own.signal, lasting.signal]) }),
      );
      const settled = Promise.allSettled(calls);
      if (n % 3 === 1) await Promise.resolve();
      if (n % 3 === 2) await sleep(0);
      own.abort();
      await within(settled, "the calls");
      expect(own.listeners()).toBe(0);
    };
    for (let n = 0; n < 100; n++) await round(n);
    const usedBefore = await settledHeap();
    for (let n = 0; n < 500; n++) await round(n);
    const grownBytes = (await settledHeap()) - usedBefore;
    for (let n = 0; n < 400 && models.stats().freeSlots !== 256; n++) await sleep(5);
    const { submitted, succeeded, failed } = models.stats();
    expect(models.stats()).toMatchObject({ inFlight: 0, freeSlots: 256, refused: 0 });
    expect(submitted).toBe(120_000);
    expect(succeeded + failed).toBe(submitted);
    expect(lasting.listeners()).toBe(0);
    // A request that left 84 bytes behind would be 8 MiB.
    expect(grownBytes).toBeLessThan(8 * 2 ** 20);
  }, 120_000);
});

/** Bytes in use once what can be collected was. */
async function settledHeap(): Promise<number> {
  for (let look = 0; look < 6; look++) {
    collect();
    await sleep(10);
  }
  return process.memoryUsage().heapUsed;
}

/** Bun has it ready; V8's is there for a new context once its flag is set. */
const collect: () => void = collector();

function collector(): () => void {
  const { Bun } = globalThis as { Bun?: { gc(wait: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
