/** Requests that are no longer wanted: timeouts and signals, prompt and without a trace. */

import { afterAll, describe, expect, it } from "vitest";
import { InputError, PipeClosedError, QueueFullError, Tensor, TimeoutError } from "trtpipe";
import type { CallOptions, Pipe, Priority } from "trtpipe";
import { countedSignal } from "../support/counted-signal.ts";
import { callers } from "../support/caller-thread.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { block, opener, rejection, sleep, within } from "../support/pipes.ts";

useFaultLibrary();
const open = opener(afterAll);
const caller = callers(afterAll);

const BACKEND = "(shape=2)Fault";
const quick = (): { data: Float32Array } => ({ data: new Float32Array(2) });
const slow = (ms: number): { data: Float32Array } => ({ data: Float32Array.of(Fault.sleepMs, ms) });

async function allFree(models: Pipe, slots: number): Promise<void> {
  for (let n = 0; n < 400 && models.stats().freeSlots !== slots; n++) await sleep(5);
  expect(models.stats()).toMatchObject({ inFlight: 0, freeSlots: slots });
}

describe("a timeout", () => {
  it("is prompt while every instance is busy, and the request never runs", async () => {
    const models = await open({ backend: BACKEND, max_queue: 16 });
    const running = models(slow(900));
    await sleep(20);
    const startMs = performance.now();
    const input = quick();
    const error = await rejection(models(input, { timeout: 200 }), "the call");
    const tookMs = performance.now() - startMs;
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ code: "TP_TIMEOUT", timeoutMs: 200 });
    expect(tookMs).toBeGreaterThanOrEqual(199);
    expect(tookMs).toBeLessThan(450);
    expect("result" in input).toBe(false);
    expect(models.stats()).toMatchObject({ freeSlots: 15, inFlight: 1 });
    await within(running, "the running call");
    await within(models(quick()), "a later call");
    expect(models.stats()).toMatchObject({ rows: 2, failed: 1, succeeded: 2 });
    await allFree(models, 16);
  });

  it("ends a request that runs, whose slot comes back with its run", async () => {
    const models = await open({ backend: BACKEND, max_queue: 4 });
    const input = slow(300);
    expect(await rejection(models(input, { timeout: 50 }), "the call")).toBeInstanceOf(TimeoutError);
    expect(models.stats()).toMatchObject({ freeSlots: 3, inFlight: 0 });
    // The object is free at once, whatever its old run does.
    input.data = new Float32Array(2);
    expect((await within(models(input), "the next call")).result).toBeInstanceOf(Tensor);
    await allFree(models, 4);
  });

  it("holds although its caller's event loop is late: the request does not run", async () => {
    const models = await open({ backend: BACKEND });
    const running = models(slow(150));
    await sleep(20);
    const late = models(quick(), { timeout: 50 });
    block(400);
    expect(await rejection(late, "the late call")).toBeInstanceOf(TimeoutError);
    await within(running, "the running call");
    expect(models.stats()).toMatchObject({ rows: 1 });
  });

  it("is no matter to a request that is answered in time", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const calls = Array.from({ length: 100 }, (_, i) => models(quick(), { timeout: 60_000 + i }));
    const answered = await within(Promise.all(calls), "the calls");
    expect(answered.every(({ result }) => result instanceof Tensor)).toBe(true);
  });

  it("holds for the nearest of many", async () => {
    const models = await open({ backend: BACKEND, max_queue: 64 });
    const running = models(slow(500));
    await sleep(20);
    const startMs = performance.now();
    const timeouts = [300, 100, 200, 50, 250];
    const tookMs = await Promise.all(
      timeouts.map(async (timeout) => {
        await rejection(models(quick(), { timeout }), `a timeout of ${timeout} ms`);
        return performance.now() - startMs;
      }),
    );
    timeouts.forEach((timeout, i) => {
      expect(tookMs[i]).toBeGreaterThanOrEqual(timeout - 1);
      expect(tookMs[i]).toBeLessThan(timeout + 200);
    });
    await within(running, "the running call");
  });

  it("ends a blocked call in a Worker", async () => {
    const models = await open({ backend: BACKEND });
    const thread = await caller(models.share());
    const running = models(slow(600));
    await sleep(20);
    const startMs = performance.now();
    const options: CallOptions = { timeout: 100 };
    const asked = thread.ask("syncWith", { data: new Float32Array(2), options });
    expect(await rejection(asked, "sync")).toMatchObject({ code: "TP_TIMEOUT" });
    expect(performance.now() - startMs).toBeLessThan(450);
    await within(running, "the running call");
  });
});

describe("a signal", () => {
  it("gives up a request that waits, with its reason, and the request never runs", async () => {
    const models = await open({ backend: BACKEND, max_queue: 8 });
    const { signal, abort, listeners } = countedSignal();
    const running = models(slow(200));
    await sleep(20);
    const calls = [1, 2, 3].map(() => models(quick(), { signal }));
    expect(listeners()).toBe(1);
    const reason = new Error("no longer wanted");
    const rejected = Promise.allSettled(calls);
    abort(reason);
    expect(models.stats()).toMatchObject({ freeSlots: 7, inFlight: 1 });
    for (const outcome of await rejected) expect((outcome as PromiseRejectedResult).reason).toBe(reason);
    expect(listeners()).toBe(0);
    await within(running, "the running call");
    expect(models.stats()).toMatchObject({ rows: 1 });
  });

  it("gives up a request that runs, at once", async () => {
    const models = await open({ backend: BACKEND, max_queue: 2 });
    const controller = new AbortController();
    const startMs = performance.now();
    const call = models(slow(400), { signal: controller.signal });
    await sleep(30);
    controller.abort();
    const error = await rejection(call, "the call");
    expect(error.name).toBe("AbortError");
    expect(performance.now() - startMs).toBeLessThan(300);
    await allFree(models, 2);
  });

  it("that is aborted already keeps the request from its slot", async () => {
    const models = await open({ backend: BACKEND });
    const reason = new Error("before");
    const call = models(quick(), { signal: AbortSignal.abort(reason) });
    expect(await rejection(call, "the call")).toBe(reason);
    expect(models.stats()).toMatchObject({ submitted: 1, refused: 1, inFlight: 0, rows: 0 });
    expect(models.stats().refusals).toEqual({ input: 0, full: 0, closed: 0, aborted: 1 });
  });

  it("has no listener left when its requests are answered", async () => {
    const models = await open({ backend: BACKEND, max: 8 });
    const { signal, abort, listeners } = countedSignal();
    const options = { signal };
    await within(models(Array.from({ length: 200 }, quick), options), "the calls");
    expect(listeners()).toBe(0);
    abort();
    expect(models.stats()).toMatchObject({ succeeded: 200, failed: 0, inFlight: 0 });
  });

  it("leaves no trace of ten thousand requests", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    for (let n = 0; n < 500; n++) {
      const { signal, abort, listeners } = countedSignal();
      const calls = Array.from({ length: 20 }, () => models(quick(), { signal }));
      const settled = Promise.allSettled(calls);
      if (n % 3 === 0) await Promise.resolve();
      if (n % 3 === 1) await sleep(0);
      abort();
      await within(settled, "the calls");
      expect(listeners()).toBe(0);
    }
    await allFree(models, 1024);
    const { submitted, succeeded, failed, refused } = models.stats();
    expect(submitted).toBe(succeeded + failed + refused);
    expect(refused).toBe(0);
  });
});

describe("options of a call", () => {
  it.each([
    [null, "options"],
    [5, "options"],
    [{ timout: 5 }, "options"],
    [{ timeout: 0 }, "options.timeout"],
    [{ timeout: -1 }, "options.timeout"],
    [{ timeout: Number.NaN }, "options.timeout"],
    [{ timeout: 2 ** 31 }, "options.timeout"],
    [{ timeout: "5" }, "options.timeout"],
    [{ signal: {} }, "options.signal"],
    [{ priority: "urgent" }, "options.priority"],
    [{ priority: 0 }, "options.priority"],
  ])("are refused by name: %j", async (options, input) => {
    const models = await open({ backend: BACKEND });
    const call = models(quick(), options as unknown as CallOptions);
    const error = await rejection(call, "the call");
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ input });
    expect(models.stats()).toMatchObject({ refused: 1, inFlight: 0 });
    expect(models.stats().refusals).toEqual({ input: 1, full: 0, closed: 0, aborted: 0 });
  });

  it("may be undefined, and a timeout endless", async () => {
    const models = await open({ backend: BACKEND });
    const options: CallOptions = { timeout: Infinity, priority: "low" };
    expect((await within(models(quick(), options), "the call")).result).toBeInstanceOf(Tensor);
    expect((await within(models(quick(), undefined), "the call")).result).toBeInstanceOf(Tensor);
  });
});

describe("priorities", () => {
  it("decide who goes first of those that wait", async () => {
    const models = await open({ backend: BACKEND });
    const running = models(slow(150));
    await sleep(20);
    const order: string[] = [];
    const ask = async (priority: Priority, name: string): Promise<void> => {
      await models(slow(10), { priority });
      order.push(name);
    };
    const calls = [
      ask("low", "low"),
      ask("normal", "normal 1"),
      ask("high", "high 1"),
      ask("normal", "normal 2"),
      ask("high", "high 2"),
    ];
    await within(Promise.all([running, ...calls]), "the calls");
    expect(order).toEqual(["high 1", "high 2", "normal 1", "normal 2", "low"]);
  });

  it("share a batch", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const running = models(slow(150));
    await sleep(20);
    const priorities = ["low", "high", "normal", "low"] as const;
    const calls = priorities.map((priority) => models(quick(), { priority }));
    await within(Promise.all([running, ...calls]), "the calls");
    expect(models.stats()).toMatchObject({ batches: 2, rows: 5 });
  });

  it("do not let a low one wait for ever", async () => {
    const models = await open({ backend: BACKEND, max_queue: 64 });
    const stop = new AbortController();
    const busy = async (): Promise<void> => {
      while (!stop.signal.aborted) await models(slow(5), { priority: "high" });
    };
    // So many that a caller that is late does not leave the instance without a high one.
    const all = Array.from({ length: 50 }, busy);
    await sleep(30);
    const startMs = performance.now();
    await within(models(quick(), { priority: "low" }), "the low one");
    const tookMs = performance.now() - startMs;
    stop.abort();
    await within(Promise.all(all), "the high ones");
    expect(tookMs).toBeGreaterThan(900);
    expect(tookMs).toBeLessThan(3000);
  });
});

describe("a request of several rows", () => {
  it("that failed in one does not run the others", async () => {
    const models = await open({ backend: BACKEND, max: 1, max_queue: 64 });
    // The first fails at once, the others take 20 ms each.
    const data = Float32Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? Fault.sleepMs : 20));
    data[0] = Fault.failBatch;
    await rejection(models({ data }), "the call");
    await allFree(models, 64);
    expect(models.stats().rows).toBeLessThan(10);
  });
});

describe("room()", () => {
  it("resolves when rows fit, first come first served", async () => {
    const models = await open({ backend: BACKEND, max_queue: 4 });
    await within(models.room(4), "room in an empty queue");
    const running = [1, 2, 3, 4].map(() => models(slow(30)));
    expect(await rejection(models(quick()), "one too many")).toBeInstanceOf(QueueFullError);
    const order: number[] = [];
    const waiting = [3, 1].map(async (rows) => {
      await models.room(rows);
      order.push(rows);
      expect(models.stats().freeSlots).toBeGreaterThanOrEqual(rows);
    });
    await within(Promise.all([...running, ...waiting]), "the calls");
    expect(order).toEqual([3, 1]);
  });

  it("lets a thousand requests through a queue of four", async () => {
    const models = await open({ backend: BACKEND, max: 4, max_queue: 4 });
    let answered = 0;
    for (let n = 0; n < 1000; n++) {
      await within(models.room(), "room");
      void models(quick()).then(() => answered++);
    }
    await within(models.close(), "close()");
    expect(answered).toBe(1000);
  });

  it("refuses what can never fit, and everybody when the pipe closes", async () => {
    const models = await open({ backend: BACKEND, max_queue: 2 });
    for (const rows of [0, 3, 1.5, Number.NaN]) {
      expect(await rejection(models.room(rows), "room()")).toBeInstanceOf(InputError);
    }
    const running = [models(slow(50)), models(slow(50))];
    const waiting = rejection(models.room(), "room()");
    await within(models.close(), "close()");
    expect(await waiting).toBeInstanceOf(PipeClosedError);
    expect(await rejection(models.room(), "room()")).toBeInstanceOf(PipeClosedError);
    await within(Promise.all(running), "the calls");
  });
});

describe("ten thousand calls in one turn against max_queue: 16", () => {
  it("are refused at once or right, twenty times over, and nothing drifts", async () => {
    const models = await open({ backend: BACKEND, max: 4, max_queue: 16 });
    for (let round = 0; round < 20; round++) {
      const calls = Array.from({ length: 10_000 }, (_, i) => models({ data: Float32Array.of(0, i) }));
      const settled = await within(Promise.allSettled(calls), "the calls", 30_000);
      const right = settled.every((outcome, i) =>
        outcome.status === "rejected"
          ? outcome.reason instanceof QueueFullError
          : (outcome.value.result as Tensor).data[1] === i,
      );
      expect(right).toBe(true);
      expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(16);
      expect(models.stats()).toMatchObject({ inFlight: 0, freeSlots: 16 });
    }
  }, 60_000);
});
