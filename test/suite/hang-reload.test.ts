/** Calls that hang, and reload(): neither waits for the other. */

import { afterEach, describe, expect, it } from "vitest";
import { InstanceLostError, PipeClosedError, Tensor } from "trtpipe";
import type { Pipe, PipeConfig, PipeInput } from "trtpipe";
import { loadNative } from "../../src/native/load.ts";
import { INTERRUPT_MS } from "../../src/scheduler/watchdog.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { opener, rejection, until, within } from "../support/pipes.ts";

useFaultLibrary();
const open = opener(afterEach);

const RUN_TIMEOUT_MS = 100;
/** What a busy machine may add to a bound. */
const LATE_MS = 1500;
const BOUND_MS = RUN_TIMEOUT_MS + INTERRUPT_MS + LATE_MS;
/** Longer than all that is done meanwhile. */
const HANG_MS = BOUND_MS + 2000;

const openFault = (config: PipeConfig = {}): Promise<Pipe> =>
  open({ backend: "(shape=3)Fault", max: 1, max_queue: 8, run_timeout: RUN_TIMEOUT_MS, ...config });

function request(number: number, opcode: number = Fault.none, argument = 0): PipeInput {
  return { data: Float32Array.of(opcode, argument, number) };
}

/** A call that nothing can end before its time. */
const hung = (): PipeInput => request(-1, Fault.sleepMs, HANG_MS);

async function ask(models: Pipe, number: number): Promise<number> {
  const { result } = await within(models(request(number)), `the answer to ${number}`);
  return ((result as Tensor).data as Float32Array)[2];
}

/** The late call is back, and has left nothing behind. */
async function untilBack(models: Pipe, handles: number): Promise<void> {
  const native = loadNative();
  await until("the call is back", () => models.stats().quarantinedInstances === 0);
  await until("its slot is back", () => models.stats().freeSlots === 8);
  await until("its model is released", () => native.handleCount() === handles);
  expect(models.stats().quarantinedSlots).toBe(0);
}

describe("a call that hangs while a reload is under way", () => {
  it("is given up, and its line goes to the one that waits for it", async () => {
    const models = await openFault({ instance_num: 2 });
    const native = loadNative();
    const handles = native.handleCount();
    const victim = rejection(models(hung()), "the hung request");
    await until("it runs", () => models.stats().instances.some(({ state }) => state === "running"));
    const startMs = performance.now();
    const reload = models.reload();
    expect(await Promise.all([1, 2, 3].map((number) => ask(models, number)))).toEqual([1, 2, 3]);
    await within(reload, "reload()", BOUND_MS);
    expect(performance.now() - startMs).toBeLessThan(BOUND_MS);
    const error = await victim;
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(error.message).toContain("did not come back within run_timeout");
    const kept = { quarantinedInstances: 1, quarantinedSlots: 1, freeSlots: 7 };
    expect(models.stats()).toMatchObject({ reloads: 1, instanceRestarts: 1, failed: 1, ...kept });
    // Of all that is old only the instance of the late call is there.
    await until("the other old thread has ended", () => native.handleCount() === handles + 1);
    expect(await Promise.all([4, 5, 6].map((number) => ask(models, number)))).toEqual([4, 5, 6]);
    await untilBack(models, handles);
    expect(models.stats()).toMatchObject({ instanceRestarts: 1, staleCompletions: 1 });
    expect(await Promise.all([7, 8, 9].map((number) => ask(models, number)))).toEqual([7, 8, 9]);
  });

  it("and the close() that comes meanwhile wait for each other no longer than they have to", async () => {
    const native = loadNative();
    const handles = native.handleCount();
    const models = await openFault({ instance_num: 2 });
    const victim = rejection(models(hung()), "the hung request");
    await until("it runs", () => models.stats().instances.some(({ state }) => state === "running"));
    const reload = rejection(models.reload(), "reload()");
    await within(models.close(), "close()", BOUND_MS);
    expect(await reload).toBeInstanceOf(PipeClosedError);
    expect(await victim).toBeInstanceOf(InstanceLostError);
    await until("the call is back, and everything is released", () => native.handleCount() === handles);
  });
});

describe("a reload while an instance is quarantined", () => {
  it.each([1, 2])(
    "does not wait for it, and neither does the next one (%d instances)",
    async (instance_num) => {
      const models = await openFault({ instance_num });
      const native = loadNative();
      const handles = native.handleCount();
      expect(await rejection(models(hung()), "the hung request")).toBeInstanceOf(InstanceLostError);
      const startMs = performance.now();
      for (const reloads of [1, 2]) {
        await within(models.reload(), "reload()", LATE_MS);
        expect(await ask(models, reloads)).toBe(reloads);
        expect(models.stats()).toMatchObject({ reloads, quarantinedInstances: 1, quarantinedSlots: 1 });
      }
      expect(performance.now() - startMs).toBeLessThan(2 * LATE_MS);
      await untilBack(models, handles);
      expect(models.stats()).toMatchObject({ reloads: 2, failed: 1 });
      expect(await ask(models, 3)).toBe(3);
    },
  );
});

describe("a call that hangs after a reload", () => {
  it("is asked to end where it runs now, and given up if it does not", async () => {
    const models = await openFault();
    const native = loadNative();
    await within(models.reload(), "reload()");
    const ended = await rejection(models(request(1, Fault.hang)), "a call that can be ended");
    expect(ended.message).toBe("The run took longer than run_timeout and was ended");
    expect(models.stats()).toMatchObject({ instanceRestarts: 0, quarantinedInstances: 0 });
    const handles = native.handleCount();
    const lost = await rejection(models(hung()), "a call that cannot");
    expect(lost.message).toContain("did not come back within run_timeout");
    expect(await ask(models, 2)).toBe(2);
    await untilBack(models, handles);
    expect(models.stats().instanceRestarts).toBe(1);
  });
});
