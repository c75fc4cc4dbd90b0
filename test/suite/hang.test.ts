/** A native call that takes longer than run_timeout: ended, or given up with all that it may write to. */

import { afterEach, describe, expect, it } from "vitest";
import { ConfigError, InstanceLostError, PipeClosedError, Tensor, pipe } from "trtpipe";
import type { Pipe, PipeConfig, PipeInput } from "trtpipe";
import { INTERRUPT_MS } from "../../src/scheduler/watchdog.ts";
import { callers } from "../support/caller-thread.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { slowModel } from "../models.ts";
import { opener, rejection, sleep, until, within } from "../support/pipes.ts";

useFaultLibrary();
const open = opener(afterEach);
const caller = callers(afterEach);

const RUN_TIMEOUT_MS = 100;
/** What a busy machine may add to a bound. */
const LATE_MS = 1500;

const openFault = (config: PipeConfig = {}): Promise<Pipe> =>
  open({ backend: "(shape=3)Fault", max: 1, max_queue: 8, run_timeout: RUN_TIMEOUT_MS, ...config });

function request(number: number, opcode: number = Fault.none, argument = 0): PipeInput {
  return { data: Float32Array.of(opcode, argument, number) };
}

/** A call that nothing can end before its time. */
const hung = (ms: number): PipeInput => request(-1, Fault.sleepMs, ms);

async function ask(models: Pipe, number: number): Promise<number> {
  const { result } = await within(models(request(number)), `the answer to ${number}`);
  return ((result as Tensor).data as Float32Array)[2];
}

describe("a call that can be ended", () => {
  it("costs its batch, and neither its thread nor anything else", async () => {
    const models = await openFault({ instance_num: 2 });
    const startMs = performance.now();
    const victim = models(request(1, Fault.hang));
    expect(await Promise.all([2, 3, 4].map((number) => ask(models, number)))).toEqual([2, 3, 4]);
    const error = await rejection(victim, "the hung request");
    const tookMs = performance.now() - startMs;
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(error).toMatchObject({ code: "TP_INSTANCE", maybeExecuted: true });
    expect(error.message).toBe("The run took longer than run_timeout and was ended");
    expect(tookMs).toBeGreaterThanOrEqual(RUN_TIMEOUT_MS - 5);
    expect(tookMs).toBeLessThan(RUN_TIMEOUT_MS + LATE_MS);
    expect(models.stats()).toMatchObject({ instanceRestarts: 0, quarantinedSlots: 0, freeSlots: 8 });
    expect(await ask(models, 5)).toBe(5);
  });

  it("is ended again and again, with the pipe idle in between", async () => {
    const models = await openFault();
    for (let round = 0; round < 7; round++) {
      expect(await rejection(models(request(round, Fault.hang)))).toBeInstanceOf(InstanceLostError);
      expect(await ask(models, round)).toBe(round);
      await sleep(round * 20);
    }
    expect(models.stats()).toMatchObject({ failed: 7, succeeded: 7, instanceRestarts: 0 });
  });

  it("is a model in ONNX Runtime, too", async () => {
    const models = await open({ backend: "OnnxTensor", model: slowModel(180), warm_up: 0, run_timeout: 100 });
    const startMs = performance.now();
    const error = await rejection(models({ data: Float32Array.of(1) }), "the slow model");
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(error.message).toBe("The run took longer than run_timeout and was ended");
    expect(performance.now() - startMs).toBeLessThan(100 + LATE_MS);
    expect(models.stats()).toMatchObject({ instanceRestarts: 0, quarantinedInstances: 0, freeSlots: 1024 });
  });
});

describe("a call that does not come back", () => {
  it("rejects within its bound, while others go on", async () => {
    const models = await openFault({ instance_num: 2 });
    const startMs = performance.now();
    const victim = models(hung(2000));
    let answered = 0;
    const end = rejection(victim, "the hung request");
    while (models.stats().failed === 0) {
      expect(await ask(models, answered)).toBe(answered);
      answered++;
      await sleep(1);
    }
    const error = await end;
    const tookMs = performance.now() - startMs;
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(error).toMatchObject({ code: "TP_INSTANCE", maybeExecuted: true });
    expect(error.message).toContain("did not come back within run_timeout");
    expect(tookMs).toBeGreaterThanOrEqual(RUN_TIMEOUT_MS + INTERRUPT_MS - 10);
    expect(tookMs).toBeLessThan(RUN_TIMEOUT_MS + INTERRUPT_MS + LATE_MS);
    expect(answered).toBeGreaterThan(50);
    expect(models.stats()).toMatchObject({ freeSlots: 7, quarantinedSlots: 1, quarantinedInstances: 1 });
    await until("the instance is replaced", () => models.stats().instanceRestarts === 1);
  });

  it("takes all rows of its batch, and what waits is run by its successor", async () => {
    const models = await openFault({ max: 4 });
    const first = models(request(0, Fault.sleepMs, 50));
    await until("it runs", () => models.stats().instances[0].state === "running");
    const calls = [hung(1500), request(1), request(2), request(3)].map((input) => models(input));
    const later = [4, 5, 6].map((number) => ask(models, number));
    await within(first, "the first call");
    const settled = await within(Promise.allSettled(calls), "the calls");
    for (const one of settled) {
      expect(one).toMatchObject({ status: "rejected", reason: { code: "TP_INSTANCE", maybeExecuted: true } });
    }
    expect(await Promise.all(later)).toEqual([4, 5, 6]);
    expect(models.stats()).toMatchObject({ quarantinedSlots: 4, freeSlots: 4, inFlight: 0 });
  });

  it("keeps its slots until it is back, and writes to nobody else's", async () => {
    const models = await openFault({ max: 2, max_queue: 4 });
    const error = await rejection(models({ data: Tensor.from(rows(2, 1800), { shape: [2, 3] }) }));
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(models.stats()).toMatchObject({ freeSlots: 2, quarantinedSlots: 2, quarantinedInstances: 1 });
    // Two slots are left, and used again and again until the call is back.
    const full = await rejection(models({ data: Tensor.from(rows(3, 0), { shape: [3, 3] }) }));
    expect(full).toMatchObject({ code: "TP_QUEUE_FULL" });
    let number = 1000;
    while (models.stats().quarantinedInstances > 0) {
      const numbers = [number++, number++];
      expect(await Promise.all(numbers.map((n) => ask(models, n)))).toEqual(numbers);
    }
    expect(number).toBeGreaterThan(1010);
    await until("the slots are back", () => models.stats().freeSlots === 4);
    expect(models.stats()).toMatchObject({ quarantinedSlots: 0, staleCompletions: 2, failed: 1 });
    expect(await Promise.all([1, 2, 3, 4].map((n) => ask(models, n)))).toEqual([1, 2, 3, 4]);
  });

  const rows = (count: number, ms: number): Float32Array =>
    Float32Array.from({ length: count * 3 }, (_, i) => [Fault.sleepMs, ms, -1][i % 3]);

  it("may have been given up by its caller before", async () => {
    const models = await openFault();
    const error = await rejection(models(hung(1500), { timeout: 30 }), "the late request");
    expect(error).toMatchObject({ code: "TP_TIMEOUT" });
    expect(models.stats()).toMatchObject({ freeSlots: 7, quarantinedSlots: 0 });
    await until("the slot is quarantined", () => models.stats().quarantinedSlots === 1);
    expect(await ask(models, 3)).toBe(3);
    await until("the slot is back", () => models.stats().freeSlots === 8);
  });

  it("may be those of all instances at once", async () => {
    const models = await openFault({ instance_num: 2 });
    // Both are looked at from the start: either may be the first to be lost.
    const victims = Promise.all([1, 2].map(() => rejection(models(hung(1500)))));
    const waiting = [1, 2, 3].map((number) => ask(models, number));
    for (const victim of await victims) expect(victim).toBeInstanceOf(InstanceLostError);
    expect(models.stats().quarantinedInstances).toBe(2);
    expect(await Promise.all(waiting)).toEqual([1, 2, 3]);
    await until("both are back", () => models.stats().quarantinedInstances === 0);
    await until("their slots are back", () => models.stats().freeSlots === 8);
    expect(await Promise.all([4, 5, 6].map((number) => ask(models, number)))).toEqual([4, 5, 6]);
  });

  it("is told to callers in Workers, whose place waits for the slots after they have left", async () => {
    const models = await openFault({ max_callers: 2 });
    const thread = await caller(models.share());
    const lost = await rejection(thread.ask("call", [Float32Array.of(Fault.sleepMs, 2500, -1)]), "its call");
    expect(lost).toMatchObject({ code: "TP_INSTANCE" });
    expect(lost.message).toContain("did not come back within run_timeout");
    expect(await thread.ask("call", [Float32Array.of(0, 0, 1)])).toHaveLength(1);
    await within(thread.ask("close", undefined), "its close()");
    expect(await rejection(caller(models.share()))).toMatchObject({ code: "TP_CONFIG" });
    await until("the call is back", () => models.stats().quarantinedInstances === 0);
    const heir = await caller(models.share());
    expect(await heir.ask("call", [Float32Array.of(0, 0, 2)])).toHaveLength(1);
  });
});

describe("close()", () => {
  it("does not wait for a call that hangs any longer than it has to", async () => {
    const models = await openFault({ instance_num: 2 });
    const victim = rejection(models(hung(4000)), "the hung request");
    const others = [1, 2, 3].map((number) => ask(models, number));
    await sleep(20);
    const startMs = performance.now();
    await within(models.close(), "close()", RUN_TIMEOUT_MS + INTERRUPT_MS + LATE_MS);
    expect(performance.now() - startMs).toBeLessThan(RUN_TIMEOUT_MS + INTERRUPT_MS + LATE_MS);
    expect(await victim).toBeInstanceOf(InstanceLostError);
    expect(await Promise.all(others)).toEqual([1, 2, 3]);
    expect(await rejection(models(request(1)))).toBeInstanceOf(PipeClosedError);
  });

  it("comes to its end with a call that was given up before", async () => {
    const models = await openFault();
    expect(await rejection(models(hung(3000)))).toBeInstanceOf(InstanceLostError);
    expect(await ask(models, 1)).toBe(1);
    await within(models.close(), "close()", LATE_MS);
  });
});

describe("five hung calls in a short time", () => {
  it("close the pipe, and everybody is told why", async () => {
    const logged: string[] = [];
    const models = await openFault({
      instance_num: 5,
      log: (level, text) => logged.push(`${level}: ${text}`),
    });
    const victims = [1, 2, 3, 4, 5].map(() => models(hung(2500)));
    const waiting = rejection(models(request(1)), "the waiting call");
    const codes = await within(
      Promise.all(
        victims.map((victim) => rejection(victim).then((error) => (error as { code?: string }).code)),
      ),
      "the calls",
    );
    expect(codes.filter((code) => code === "TP_INSTANCE" || code === "TP_CLOSED")).toHaveLength(5);
    expect(codes).toContain("TP_INSTANCE");
    await waiting;
    const error = await rejection(models(request(2)));
    expect(error).toBeInstanceOf(PipeClosedError);
    expect(logged.at(-1)).toMatch(
      /^error: The pipe is closed: 5 instances died within 10 s, the last one: a call runs/,
    );
    expect(error.message).toMatch(/5 instances died within 10 s, the last one: a call runs for \d+ ms/);
    await within(models.close(), "close()");
  });
});

describe("run_timeout", () => {
  it.each([-1, 1.5, "soon", 86_400_001, Number.NaN])("is not %j", async (run_timeout) => {
    const error = await rejection(pipe({ backend: "Identity", run_timeout }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ field: "run_timeout" });
  });

  it("ends a child process, and is given once", async () => {
    const models = await open({ backend: "Process[(shape=3)Fault]", max: 1, run_timeout: RUN_TIMEOUT_MS });
    expect(models.describe().runTimeoutMs).toBe(RUN_TIMEOUT_MS);
    const error = await rejection(models(hung(60_000)));
    expect(error.message).toContain(`no answer within run_timeout, ${RUN_TIMEOUT_MS} ms`);
    expect(models.stats()).toMatchObject({ quarantinedSlots: 0, instanceRestarts: 0 });
    const twice = { backend: "(run_timeout=50)Process[Identity]", run_timeout: 60 };
    expect(await rejection(pipe(twice))).toMatchObject({ field: "run_timeout" });
  });
});
