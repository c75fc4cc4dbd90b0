/** Other threads call the same pipe: share(), attach(), sync(), and what becomes of their places. */

import { afterEach, describe, expect, it } from "vitest";
import { ConfigError, PipeClosedError, Tensor, attach } from "trtpipe";
import type { SharedPipe } from "trtpipe";
import { affineModel } from "../support/models.ts";
import { callers } from "../support/caller-thread.ts";
import type { CallerThread } from "../support/caller-thread.ts";
import { opener, rejection, sleep, within } from "../support/pipes.ts";
import { thrown } from "../caught.ts";

const open = opener(afterEach);
const caller = callers(afterEach);

const ROW = Float32Array.of(1, 2, 3, 4);
const BACKEND = "(shape=4)Identity";

/** Attaches a thread, waiting until a place is free: that a thread has ended is noticed a moment later. */
async function attachInTime(shared: SharedPipe): Promise<CallerThread> {
  const thread = await caller();
  for (let tries = 0; ; tries++) {
    try {
      await thread.ask("attach", shared);
      return thread;
    } catch (error) {
      if ((error as { code?: string }).code !== "TP_CONFIG" || tries === 100) throw error;
      await sleep(20);
    }
  }
}

describe("share()", () => {
  it("gives something that can be posted, the same every time", async () => {
    const models = await open({ backend: BACKEND });
    const shared = models.share();
    expect(models.share()).toBe(shared);
    expect(() => structuredClone(shared)).not.toThrow();
    expect(shared).toMatchObject({ trtpipe: expect.any(Number), pid: process.pid });
  });
});

describe("attach()", () => {
  it("calls the pipe from a Worker, asynchronously and blocking", async () => {
    const models = await open({ backend: "OnnxTensor", model: affineModel(), max: 4 });
    const thread = await caller(models.share());
    const expected = [expect.objectContaining({ shape: [1, 4], data: Float32Array.of(3, 5, 7, 9) })];
    expect(await thread.ask("call", [ROW])).toEqual(expected);
    expect(await thread.ask("sync", [ROW])).toEqual(expected);
    expect(await thread.ask("sync", [ROW, ROW, ROW])).toHaveLength(3);
  });

  it("describes the same pipe, and counts the thread's own requests", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const thread = await caller();
    expect(await thread.ask("attach", models.share())).toEqual(models.describe());
    await thread.ask("call", [ROW, ROW]);
    await models({ data: ROW });
    expect(await thread.ask("stats", undefined)).toMatchObject({ submitted: 2, succeeded: 2, rows: 3 });
    expect(models.stats()).toMatchObject({ submitted: 1, succeeded: 1, rows: 3 });
  });

  it("works on the thread that owns the pipe, but for sync()", async () => {
    const models = await open({ backend: BACKEND });
    const attached = attach(models.share());
    const input = { data: ROW };
    expect((await within(attached(input), "the call")).result).toEqual(Tensor.from(ROW, { shape: [1, 4] }));
    const error = thrown(() => attached.sync({ data: ROW }));
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/await/);
    await within(attached.close(), "close()");
    expect(await rejection(attached({ data: ROW }))).toBeInstanceOf(PipeClosedError);
    await within(models({ data: ROW }), "the owner's call");
  });

  it("throws what a call rejects with, in sync()", async () => {
    const models = await open({ backend: BACKEND });
    const thread = await caller(models.share());
    expect(await rejection(thread.ask("sync", [new Float32Array(3)]))).toMatchObject({
      name: "InputError",
      code: "TP_INPUT",
    });
    await thread.ask("sync", [ROW]);
  });

  it.each([
    ["nothing", undefined],
    ["something else", { trtpipe: 1 }],
  ])("refuses %s", (_, shared) => {
    expect(thrown(() => attach(shared as SharedPipe))).toBeInstanceOf(ConfigError);
  });

  it("refuses a pipe of another version or process", async () => {
    const shared = (await open({ backend: BACKEND })).share();
    for (const change of [{ trtpipe: 999 }, { pid: process.pid + 1 }]) {
      expect(thrown(() => attach({ ...shared, ...change }))).toBeInstanceOf(ConfigError);
    }
  });

  it("refuses a closed pipe", async () => {
    const models = await open({ backend: BACKEND });
    const shared = models.share();
    await models.close();
    expect(thrown(() => attach(shared))).toBeInstanceOf(PipeClosedError);
  });

  it("is told of answers that lie ready while it blocks for another", async () => {
    const models = await open({ backend: "(shape=150528)Identity", max: 64, max_queue: 256 });
    const thread = await caller(models.share());
    const data = new Float32Array(150_528).fill(3);
    for (let round = 0; round < 3; round++) {
      expect(await thread.ask("syncBehind", { data, calls: 100, waitMs: 300 })).toHaveLength(101);
    }
  });
});

describe("max_callers", () => {
  it("is the number of threads, and one more is a ConfigError that names it", async () => {
    const models = await open({ backend: BACKEND, max_callers: 3 });
    await caller(models.share());
    await caller(models.share());
    const third = await caller();
    const error = await rejection(third.ask("attach", models.share()));
    expect(error).toMatchObject({ name: "ConfigError", code: "TP_CONFIG" });
    expect(error.message).toContain("max_callers");
  });

  it("counts a thread that has left no more", async () => {
    const models = await open({ backend: BACKEND, max_callers: 2 });
    for (let n = 0; n < 3; n++) {
      const thread = await caller(models.share());
      await thread.ask("call", [ROW]);
      await thread.ask("close", undefined);
      expect(await rejection(thread.ask("call", [ROW]))).toMatchObject({ code: "TP_CLOSED" });
    }
  });

  it.each(["exit", "terminate"] as const)("counts a thread that has ended no more: %s", async (end) => {
    const models = await open({ backend: BACKEND, max_callers: 2 });
    for (let n = 0; n < 3; n++) {
      const thread = await attachInTime(models.share());
      expect(await thread.ask("call", [ROW, ROW])).toHaveLength(2);
      await thread[end]();
    }
  });

  it("counts a thread no more that was terminated with calls in flight", async () => {
    const models = await open({ backend: BACKEND, max_callers: 2, max_queue: 64 });
    for (let n = 0; n < 3; n++) {
      const thread = await attachInTime(models.share());
      // Deno ends a busy thread when its turn is over.
      await thread.begin(n, ROW, 300);
      await thread.terminate();
    }
    const last = await attachInTime(models.share());
    expect(await last.ask("call", [ROW])).toHaveLength(1);
    expect(await last.ask("stats", undefined)).toMatchObject({ freeSlots: 64, inFlight: 0 });
  });

  it("leaves room for threads that come and go all at once", async () => {
    const models = await open({ backend: BACKEND, max_callers: 5 });
    const threads = await Promise.all(Array.from({ length: 4 }, () => caller()));
    const comeAndGo = async (thread: CallerThread): Promise<void> => {
      for (let n = 0; n < 30; n++) {
        await thread.ask("attach", models.share());
        expect(await thread.ask("call", [ROW])).toHaveLength(1);
        await thread.ask("close", undefined);
      }
    };
    await Promise.all(threads.map(comeAndGo));
  });
});

describe("a thread that ends", () => {
  it("takes nothing of the others with it", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const [first, second] = await Promise.all([caller(models.share()), caller(models.share())]);
    const running = second.ask("clients", { count: 4, requests: 300, rowsMax: 3, first: 1 });
    await first.begin(1, ROW, 300);
    await first.terminate();
    expect(await running).toBe(0);
    await within(models({ data: ROW }), "the owner's call");
  });
});

describe("a pipe that closes", () => {
  it("answers what a Worker had asked for, and refuses what it asks after", async () => {
    const models = await open({ backend: BACKEND });
    const thread = await caller(models.share());
    await thread.ask("call", [ROW]);
    await thread.begin(1, ROW, 200);
    await within(models.close(), "close()");
    expect(await thread.ask("settle", 1)).toHaveLength(1);
    expect(await rejection(thread.ask("call", [ROW]))).toMatchObject({ code: "TP_CLOSED" });
  });
});
