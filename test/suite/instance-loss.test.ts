/** An instance thread dies: its own rows are answered for, everything else goes on, and it is replaced. */

import { afterEach, describe, expect, it } from "vitest";
import { InstanceLostError, PipeClosedError, Tensor } from "trtpipe";
import type { Pipe, PipeConfig } from "trtpipe";
import { callers } from "../support/caller-thread.ts";
import { makeChannel } from "../support/memory.ts";
import { opener, rejection, sleep, until, within } from "../support/pipes.ts";

const open = opener(afterEach);
const caller = callers(afterEach);

/** What a row's only value can make its instance do: see dying-worker-hooks.mjs. */
const Death = { leading: -101, answering: -102, exiting: -103 } as const;

const SLOTS = 16;
process.env.TEST_SLOT_WORD = String(makeChannel({ slots: SLOTS }).layout.word);

interface Logged {
  level: string;
  text: string;
  fields: Record<string, unknown>;
}

async function openMortal(config: PipeConfig = {}): Promise<{ models: Pipe; logged: Logged[] }> {
  const logged: Logged[] = [];
  const workerUrl = new URL("../support/dying-worker.mjs", import.meta.url);
  const log = (level: string, text: string, fields: Record<string, unknown>): void => {
    logged.push({ level, text, fields });
  };
  const models = await open({
    backend: "(shape=1)Identity",
    max: 1,
    max_queue: SLOTS,
    workerUrl,
    log,
    ...config,
  });
  return { models, logged };
}

async function ask(models: Pipe, value: number): Promise<number> {
  const { result } = await within(models({ data: Float32Array.of(value) }), `the answer to ${value}`);
  return (result as Tensor).data[0] as number;
}

describe("an instance that dies before it answers", () => {
  it.each(["answering", "exiting"] as const)("costs its own rows only: %s", async (death) => {
    const { models } = await openMortal({ instance_num: 2 });
    const victim = models({ data: Float32Array.of(Death[death]) });
    const others = [1, 2, 3, 4, 5].map((value) => ask(models, value));
    const error = await rejection(victim, "the lost request");
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(error).toMatchObject({ code: "TP_INSTANCE", maybeExecuted: true });
    expect(await Promise.all(others)).toEqual([1, 2, 3, 4, 5]);
    expect(models.stats()).toMatchObject({ succeeded: 5, failed: 1, inFlight: 0, freeSlots: 16 });
  });

  it("is replaced, and the log says why and how many rows were lost", async () => {
    const { models, logged } = await openMortal();
    await rejection(models({ data: Float32Array.of(Death.answering) }));
    expect(await ask(models, 7)).toBe(7);
    await until("the restart is counted", () => models.stats().instanceRestarts === 1);
    const line = logged.find(({ level }) => level === "warn")!;
    expect(line.text).toMatch(/^Instance 0 died .*replaced/);
    expect(line.fields).toMatchObject({ instance: 0, rowsLost: 1 });
    expect(line.text).toContain("killed before it answered");
  });

  it("is the only one, and what waits is run by its successor", async () => {
    const { models } = await openMortal({ instance_num: 1 });
    const calls = [Death.answering, 1, 2, 3].map((value) => models({ data: Float32Array.of(value) }));
    const settled = await within(Promise.allSettled(calls), "the calls");
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled", "fulfilled"]);
  });

  it("takes all rows of its batch, and the whole request that one of them belongs to", async () => {
    const { models } = await openMortal({ max: 4 });
    const error = await rejection(models({ data: Float32Array.of(1, 2, Death.answering, 4, 5, 6) }));
    expect(error).toBeInstanceOf(InstanceLostError);
    expect(await ask(models, 3)).toBe(3);
    expect(models.stats()).toMatchObject({ inFlight: 0, freeSlots: 16 });
  });
});

describe("a leader that dies", () => {
  it.each([1, 2])("costs nothing: the next one makes its lists anew (%d instances)", async (instance_num) => {
    const { models } = await openMortal({ instance_num, max: 2 });
    const values = [5, 6, Death.leading, 7, 8];
    const answers = values.map((value) => ask(models, value));
    // The value is overwritten by the death that it asked for.
    expect(await Promise.all(answers)).toEqual([5, 6, 0, 7, 8]);
    await until("the restart is counted", () => models.stats().instanceRestarts === 1);
    expect(await ask(models, 9)).toBe(9);
  });
});

describe("callers in Workers", () => {
  it("learn of a lost instance, too", async () => {
    const { models } = await openMortal();
    const thread = await caller(models.share());
    expect(await rejection(thread.ask("call", [Float32Array.of(Death.answering)]))).toMatchObject({
      code: "TP_INSTANCE",
    });
    expect(await thread.ask("call", [Float32Array.of(1)])).toHaveLength(1);
    expect(await rejection(thread.ask("sync", [Float32Array.of(Death.answering)]))).toMatchObject({
      code: "TP_INSTANCE",
    });
  });
});

describe("a pipe whose instance is dead for a moment", () => {
  it("closes all the same, and finishes what waits or says that it cannot", async () => {
    const { models, logged } = await openMortal();
    const calls = [Death.answering, 1, 2].map((value) => models({ data: Float32Array.of(value) }));
    const settled = Promise.allSettled(calls);
    await until("the death is noticed", () => logged.length > 0);
    const closed = models.close();
    const outcomes = await within(settled, "the calls");
    await within(closed, "close()");
    const errors = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    const known = errors.every(
      (error) => error instanceof InstanceLostError || error instanceof PipeClosedError,
    );
    expect(known).toBe(true);
    expect(errors[0]).toBeInstanceOf(InstanceLostError);
  });

  it("closes while the instance dies", async () => {
    const { models } = await openMortal({ instance_num: 2 });
    const calls = [Death.exiting, 1, 2, Death.answering, 3].map((value) =>
      models({ data: Float32Array.of(value) }),
    );
    const closed = models.close();
    const outcomes = await within(Promise.allSettled(calls), "the calls");
    await within(closed, "close()");
    expect(
      outcomes.map(({ status }) => status).filter((status) => status === "rejected").length,
    ).toBeGreaterThan(1);
  });
});

describe("five deaths in a short time", () => {
  const unhandled: unknown[] = [];
  const collect = (error: unknown): void => void unhandled.push(error);

  it("close the pipe: everybody is told, here and in Workers, and close() resolves", async () => {
    process.on("unhandledRejection", collect);
    const { models, logged } = await openMortal();
    const thread = await caller(models.share());
    const fatal = [1, 2, 3, 4, 5].map(() => models({ data: Float32Array.of(Death.answering) }));
    const waiting = models({ data: Float32Array.of(1) });
    const inWorker = thread.ask("call", [Float32Array.of(2)]);
    const [first] = await within(Promise.allSettled(fatal), "the calls");
    expect((first as PromiseRejectedResult).reason).toBeInstanceOf(InstanceLostError);
    expect(await rejection(waiting, "the waiting call")).toBeInstanceOf(PipeClosedError);
    // It came before the last death, or is told of it.
    const workerOutcome = await within(Promise.allSettled([inWorker]), "the Worker's call");
    expect(["TP_CLOSED", undefined]).toContain(
      workerOutcome[0].status === "rejected" ? (workerOutcome[0].reason as { code: string }).code : undefined,
    );
    expect(await rejection(models({ data: Float32Array.of(1) }))).toBeInstanceOf(PipeClosedError);
    expect(await rejection(thread.ask("call", [Float32Array.of(3)]))).toMatchObject({ code: "TP_CLOSED" });
    expect(logged.some(({ level, text }) => level === "error" && /5 instances died/.test(text))).toBe(true);
    await within(models.close(), "close()");
    await sleep(50);
    process.off("unhandledRejection", collect);
    expect(unhandled).toEqual([]);
  });
});
