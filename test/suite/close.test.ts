/** The end of a pipe: close() in every state, and every operation in every state. */

import { afterAll, describe, expect, it } from "vitest";
import { PipeClosedError, Tensor, attach } from "trtpipe";
import type { Pipe } from "trtpipe";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { block, opener, rejection, sleep, within } from "../support/pipes.ts";
import { thrown } from "../caught.ts";

useFaultLibrary();
const open = opener(afterAll);

const BACKEND = "(shape=2)Fault";
const quick = (): { data: Float32Array } => ({ data: new Float32Array(2) });
const slow = (ms: number): { data: Float32Array } => ({ data: Float32Array.of(Fault.sleepMs, ms) });

describe("close()", () => {
  it("may be called more than once, also at once, and resolves each time", async () => {
    const models = await open({ backend: BACKEND, instance_num: 3 });
    await within(Promise.all([models.close(), models.close(), models.close()]), "three calls of close()");
    expect(await within(models.close(), "a later close()")).toBeUndefined();
    expect(await within(models[Symbol.asyncDispose](), "asyncDispose")).toBeUndefined();
  });

  it("finishes what was asked for before, queued or running", async () => {
    const models = await open({ backend: BACKEND, max: 2, instance_num: 2 });
    const calls = Array.from({ length: 30 }, () => models(slow(10)));
    const closed = models.close();
    const answered = await within(Promise.all(calls), "the calls");
    expect(answered.every(({ result }) => result instanceof Tensor)).toBe(true);
    await within(closed, "close()");
    expect(models.stats()).toMatchObject({ succeeded: 30, failed: 0, inFlight: 0 });
  });

  it("does not wait for the batching timeout", async () => {
    const models = await open({ backend: BACKEND, max: 8, batching_timeout: 60_000, instance_num: 2 });
    const startMs = performance.now();
    const running = models(slow(100));
    await sleep(20);
    const waiting = models(quick());
    await within(models.close(), "close()");
    await within(Promise.all([running, waiting]), "the calls");
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  it.each([0, 50])(
    "finishes a call of the same turn, though this thread is busy then (spin of %d us)",
    async (spin_us) => {
      for (let round = 0; round < 5; round++) {
        const models = await open({ backend: BACKEND, spin_us });
        await models(quick());
        const call = models(quick());
        const closed = models.close();
        block(10);
        expect((await within(call, "the call", 3000)).result).toBeInstanceOf(Tensor);
        await within(closed, "close()", 3000);
      }
    },
  );

  it("ends a pipe that nobody ever called", async () => {
    const models = await open({ backend: BACKEND, instance_num: 4, warm_up: 0 });
    expect(await within(models.close(), "close()")).toBeUndefined();
  });

  it("is what `await using` calls", async () => {
    const models = await open({ backend: BACKEND });
    expect(typeof models[Symbol.asyncDispose]).toBe("function");
    await within(models[Symbol.asyncDispose](), "asyncDispose");
    expect(await rejection(models(quick()))).toBeInstanceOf(PipeClosedError);
  });

  it("may be called from where a call settles", async () => {
    const models = await open({ backend: BACKEND });
    const closed = models(quick()).then(() => models.close());
    expect(await within(closed, "close()")).toBeUndefined();
  });
});

/** How a pipe gets into each state. Closing takes a while: a slow request is still running. */
const states: Record<string, () => Promise<Pipe>> = {
  idle: () => open({ backend: BACKEND }),
  "in flight": async () => {
    const models = await open({ backend: BACKEND });
    void models(slow(150));
    return models;
  },
  closing: async () => {
    const models = await open({ backend: BACKEND });
    void models(slow(150));
    void models.close();
    return models;
  },
  closed: async () => {
    const models = await open({ backend: BACKEND });
    await models.close();
    return models;
  },
};

type State = "idle" | "in flight" | "closing" | "closed";

/** What each operation does: "works", or the code of its error. */
const operations: Record<string, (models: Pipe) => Promise<unknown>> = {
  call: (models) => models(quick()),
  "array call": (models) => models([quick(), quick()]),
  "empty array call": (models) => models([]),
  forward: (models) => models.forward(quick()),
  describe: async (models) => models.describe(),
  stats: async (models) => models.stats(),
  share: async (models) => models.share(),
  attach: async (models) => attach(models.share()).close(),
  close: (models) => models.close(),
};

const refused = new Set(["call", "array call", "forward", "attach"]);

async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await within(work, "the operation");
    return "works";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe("every operation in every state", () => {
  const cells = (Object.keys(states) as State[]).flatMap((state) =>
    Object.keys(operations).map((operation) => ({
      state,
      operation,
      expected: (state === "closing" || state === "closed") && refused.has(operation) ? "TP_CLOSED" : "works",
    })),
  );

  it.each(cells)("$state: $operation $expected", async ({ state, operation, expected }) => {
    const models = await states[state]();
    expect(await outcome(operations[operation](models))).toBe(expected);
  });
});

describe("a closed pipe", () => {
  it("refuses by rejection, never by throwing, and leaves the input alone", async () => {
    const models = await open({ backend: BACKEND });
    await models.close();
    const input = quick();
    expect(thrown(() => void models(input).catch(() => {}))).toBeUndefined();
    const error = await rejection(models(input));
    expect(error).toBeInstanceOf(PipeClosedError);
    expect(error.message).toMatch(/closed pipe/);
    expect(Object.keys(input)).toEqual(["data"]);
    expect(models.stats().refusals).toEqual({ input: 0, full: 0, closed: 2, aborted: 0 });
  });

  it("still tells what it did", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    await models([quick(), quick(), quick()]);
    await models.close();
    expect(models.stats()).toMatchObject({ submitted: 3, succeeded: 3, inFlight: 0 });
    expect(models.describe().backend).toBe("Fault");
  });
});
