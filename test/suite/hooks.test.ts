/** The hooks of src/hooks.ts: each does what it says, and none does anything without the switch. */

import { afterEach, describe, expect, it } from "vitest";
import { ConfigError, InstanceLostError, Tensor, pipe } from "trtpipe";
import type { Pipe } from "trtpipe";
import { channelLayout } from "../../src/memory/layout.ts";
import type { ChannelBuffers, MemoryShape } from "../../src/memory/layout.ts";
import { callers } from "../support/caller-thread.ts";
import { opener, rejection, sleep, within } from "../support/pipes.ts";

const open = opener(afterEach);
const caller = callers(afterEach);

const BACKEND = "(shape=1)Identity";
const NAMES = [
  "SEQ0",
  "HOLD_BATCHER",
  "DELAY_SUBMIT",
  "DELAY_DISPATCH",
  "DELAY_COMPLETE",
  "DELAY_FREE",
  "KILL",
];

afterEach(() => {
  for (const name of ["HOOKS", ...NAMES]) delete process.env[`TRTPIPE_TEST_${name}`];
});

/** Sets hooks for the pipes that this test opens from here on. */
function ask(hooks: Readonly<Record<string, string>>, on = "1"): void {
  process.env.TRTPIPE_TEST_HOOKS = on;
  for (const [name, value] of Object.entries(hooks)) process.env[`TRTPIPE_TEST_${name}`] = value;
}

const row = (value = 1): { data: Float32Array } => ({ data: Float32Array.of(value) });

async function answered(models: Pipe, count: number): Promise<void> {
  const calls = Array.from({ length: count }, (_, i) => models(row(i)));
  const all = await within(Promise.all(calls), "the calls");
  expect(all.map(({ result }) => (result as Tensor).data[0])).toEqual(all.map((_, i) => i));
}

/** ms of one round trip of a pipe that has had its first ones. */
async function roundTripMs(models: Pipe): Promise<number> {
  await answered(models, 3);
  const startMs = performance.now();
  await within(models(row()), "the call");
  return performance.now() - startMs;
}

/** The ring's tail of the owner's channel. */
function tailOf(models: Pipe): number {
  const shared = models.share() as unknown as { shape: MemoryShape; channels: ChannelBuffers[] };
  return new Int32Array(shared.channels[0].control)[channelLayout(shared.shape).tail];
}

describe("TRTPIPE_TEST_SEQ0", () => {
  it.each([2 ** 31 - 20, 2 ** 32 - 20, -3])(
    "lets all counters begin there, and nothing is different: %d",
    async (seq0) => {
      ask({ SEQ0: String(seq0) });
      const models = await open({ backend: BACKEND, max: 4, instance_num: 2, max_queue: 128 });
      expect(tailOf(models)).toBe(seq0 | 0);
      const thread = await caller(models.share());
      for (let round = 0; round < 5; round++) {
        await answered(models, 100);
        expect(await thread.ask("call", [Float32Array.of(7), Float32Array.of(8)])).toHaveLength(2);
      }
      expect(tailOf(models)).toBe((seq0 + 500) | 0);
      expect(models.stats()).toMatchObject({
        succeeded: 500,
        failed: 0,
        freeSlots: 128,
        staleCompletions: 0,
      });
    },
  );
});

describe("TRTPIPE_TEST_HOLD_BATCHER", () => {
  it("keeps the first batch until so many rows are queued", async () => {
    ask({ HOLD_BATCHER: "6" });
    const models = await open({ backend: BACKEND, max: 8 });
    const calls = [1, 2, 3, 4, 5].map((value) => models(row(value)));
    await sleep(100);
    expect(models.stats()).toMatchObject({ batches: 0, inFlight: 5 });
    calls.push(models(row(6)));
    await within(Promise.all(calls), "the calls");
    expect(models.stats()).toMatchObject({ batches: 1, rows: 6 });
  });

  it("lets a pipe close that never got them", async () => {
    ask({ HOLD_BATCHER: "6" });
    const models = await open({ backend: BACKEND });
    const call = models(row());
    await within(models.close(), "close()");
    expect((await call).result).toBeInstanceOf(Tensor);
  });
});

describe("TRTPIPE_TEST_DELAY_...", () => {
  it.each(["SUBMIT", "DISPATCH", "COMPLETE", "FREE"])("%s makes each request wait there", async (where) => {
    ask({ [`DELAY_${where}`]: "30000" });
    const models = await open({ backend: BACKEND });
    expect(await roundTripMs(models)).toBeGreaterThanOrEqual(29);
  });
});

describe("TRTPIPE_TEST_KILL", () => {
  it("ends that instance's thread in place of its run of that number, once", async () => {
    ask({ KILL: "0@3" });
    const models = await open({ backend: BACKEND });
    await within(models(row()), "run 1");
    await within(models(row()), "run 2");
    expect(await rejection(models(row()), "run 3")).toBeInstanceOf(InstanceLostError);
    await answered(models, 20);
    expect(models.stats()).toMatchObject({ instanceRestarts: 1, failed: 1 });
  });
});

describe("without TRTPIPE_TEST_HOOKS=1", () => {
  it.each(["", "0", "true"])("no hook does anything: %j", async (on) => {
    const delays = Object.fromEntries(NAMES.slice(2, 6).map((name) => [name, "200000"]));
    ask({ ...delays, SEQ0: "77", HOLD_BATCHER: "50", KILL: "0@1" }, on);
    const models = await open({ backend: BACKEND });
    expect(tailOf(models)).toBe(0);
    expect(await roundTripMs(models)).toBeLessThan(200);
    expect(models.stats()).toMatchObject({ failed: 0, instanceRestarts: 0 });
  });
});

describe("a hook that makes no sense", () => {
  it.each([
    ["SEQ0", "x"],
    ["HOLD_BATCHER", "1.5"],
    ["DELAY_FREE", "100000000"],
    ["KILL", "0"],
    ["KILL", "0@0"],
  ])("is a ConfigError that names it: %s=%s", async (name, value) => {
    ask({ [name]: value });
    const error = await rejection(pipe({ backend: BACKEND, log: () => {} }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ field: `TRTPIPE_TEST_${name}`, value: JSON.stringify(value) });
  });
});
