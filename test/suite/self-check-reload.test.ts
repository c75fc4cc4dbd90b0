/** A model that reload() loads is checked with as many rows as the pipe's max, before it takes over. */

import { afterEach, describe, expect, it } from "vitest";
import { InstanceLostError, ModelLoadError, Tensor } from "trtpipe";
import type { Pipe, PipeConfig, ReloadOptions } from "trtpipe";
import { loadNative } from "../../src/native/load.ts";
import { fixedBatchModel } from "../models.ts";
import { opener, rejection, until, within } from "../support/pipes.ts";
import { factorModel, factorOf } from "../support/reloading.ts";
import { centred, model, noisy, running, wrongAboveFour } from "../support/row-mixing.ts";

const open = opener(afterEach);
afterEach(() => {
  for (const name of ["HOOKS", "KILL"]) delete process.env[`TRTPIPE_TEST_${name}`];
});

interface Opened {
  models: Pipe;
  lines: string[];
}

async function opened(config: PipeConfig): Promise<Opened> {
  const lines: string[] = [];
  const log: PipeConfig["log"] = (level, text) => lines.push(`${level}: ${text}`);
  const keys: PipeConfig = { backend: "OnnxTensor", max: 16, intra_op_threads: 1 };
  return { models: await open({ ...keys, log, ...config }), lines };
}

const reload = (models: Pipe, options: ReloadOptions): Promise<void> =>
  within(models.reload(options), "reload()", 30_000);

/** What so many rows of ones give, in one request. */
async function ask(models: Pipe, rows: number): Promise<number[]> {
  const data = Tensor.from(Array.from({ length: rows }, () => [1, 1, 1, 1]));
  const { result } = await within(models({ data }), "a call");
  return [...(result as Tensor<"float32">).data];
}

const ones = (rows: number): number[] => Array.from({ length: rows * 4 }, () => 1);

/** The largest batch that ran. */
function largestBatch(models: Pipe): number {
  const sizes = Object.values(models.stats().sizes);
  return Math.max(...sizes.map((counts) => counts.findLastIndex((count) => count > 0)));
}

describe("a new model that is wrong for batches of max rows", () => {
  it.each<[string, ReloadOptions, PipeConfig, RegExp]>([
    ["for all batches", { model: model(centred) }, {}, /row 0 of output "y" differs.*max is 16 rows/],
    ["for later rows", { model: model(running) }, {}, /row 8 of output "y" differs.*max is 16 rows/],
    ["for larger batches", { model: model(wrongAboveFour) }, {}, /in a batch of 16, row 0.*max is 16 rows/],
    ["with a session each", { model: model(centred), session: "own", warm_up: 0 }, {}, /max is 16 rows/],
    ["in child processes", { model: model(centred) }, { backend: "Process[OnnxTensor]" }, /max is 16 rows/],
  ])("is refused, and the old one serves on: %s", async (_, options, config, text) => {
    const { models, lines } = await opened({ model: factorModel(2), instance_num: 2, ...config });
    const native = loadNative();
    const handles = native.handleCount();
    const before = models.describe();
    const calls = Array.from({ length: 20 }, () => factorOf(models));
    const error = await rejection(models.reload(options), "reload()");
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ stage: "warm-up", path: "bytes" });
    expect(error.message).toMatch(text);
    expect(error.message).toMatch(/; self_check: false turns this check off$/);
    expect(new Set(await Promise.all(calls))).toEqual(new Set([2]));
    expect(models.describe()).toEqual(before);
    expect(models.stats()).toMatchObject({ reloads: 0, failed: 0, instanceRestarts: 0 });
    expect(lines).toEqual([]);
    await until("what was begun is released", () => native.handleCount() === handles);
    await reload(models, { model: factorModel(3) });
    expect(await factorOf(models)).toBe(3);
  });

  it("is refused where its batch size is fixed", async () => {
    const { models } = await opened({ model: fixedBatchModel(4), max: 4 });
    expect(await rejection(models.reload({ model: model(centred, 4) }), "reload()")).toBeInstanceOf(
      ModelLoadError,
    );
    await reload(models, { model: fixedBatchModel(4) });
    expect(models.stats().reloads).toBe(1);
  });

  it("is taken if nobody looks, and the next one is looked at if that is asked for", async () => {
    const { models, lines } = await opened({ model: factorModel(2) });
    await reload(models, { model: model(centred), self_check: false });
    expect(await ask(models, 8)).toEqual(ones(8).map(() => 0));
    await reload(models, { model: model(running) });
    const error = await rejection(models.reload({ model: model(centred), self_check: true }), "reload()");
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(models.describe()).toMatchObject({ max: 16, reloads: 2 });
    expect(lines).toEqual([]);
  });
});

describe("max", () => {
  it("is what a new model is checked with: one that is right for four rows, where max is 4", async () => {
    const { models, lines } = await opened({ model: factorModel(2), max: 4 });
    await reload(models, { model: model(wrongAboveFour) });
    expect(await ask(models, 10)).toEqual(ones(10));
    expect(lines).toEqual([]);
  });

  it("stays where it was lowered, and is what is checked then", async () => {
    const { models, lines } = await opened({ model: model(wrongAboveFour), instance_num: 2 });
    expect(models.describe().max).toBe(4);
    expect(lines.splice(0)).toHaveLength(1);
    // The same one, which is right with four rows, then one that is right with any number.
    for (const next of [model(wrongAboveFour), factorModel(1)]) {
      await reload(models, { model: next });
      expect(await ask(models, 40)).toEqual(ones(40));
      expect(models.describe().max).toBe(4);
    }
    const error = await rejection(models.reload({ model: model(centred) }), "reload()");
    expect(error.message).toMatch(/in a batch of 4, row 0 .* and the pipe's max is 4 rows/);
    expect(largestBatch(models)).toBe(4);
    expect(lines).toEqual([]);
  });

  it("stays lowered for an instance that replaces one that died", async () => {
    Object.assign(process.env, { TRTPIPE_TEST_HOOKS: "1", TRTPIPE_TEST_KILL: "0@1" });
    const { models } = await opened({ model: model(wrongAboveFour) });
    expect(await rejection(ask(models, 4))).toBeInstanceOf(InstanceLostError);
    await until("it is replaced", () => models.stats().instanceRestarts === 1);
    expect(await ask(models, 40)).toEqual(ones(40));
    expect(largestBatch(models)).toBe(4);
  });
});

describe("the check of a new model", () => {
  it("leaves the rows of callers alone", { timeout: 60_000 }, async () => {
    const { models } = await opened({ model: factorModel(2), instance_num: 2, max_queue: 32 });
    const end = new AbortController();
    let [wrong, answers] = [0, 0];
    const calling = (async () => {
      while (!end.signal.aborted) {
        const all = await Promise.all([ask(models, 16), ask(models, 15), factorOf(models)]);
        answers++;
        if (all.flat().some((value) => value !== 2)) wrong++;
      }
    })();
    for (let i = 0; i < 5; i++) {
      await reload(models, { model: factorModel(2) });
      const error = await rejection(models.reload({ model: model(centred) }), "reload()");
      expect(error).toBeInstanceOf(ModelLoadError);
    }
    end.abort();
    await within(calling, "the calls");
    expect(wrong).toBe(0);
    expect(answers).toBeGreaterThan(10);
    expect(models.stats()).toMatchObject({ failed: 0, reloads: 5, freeSlots: 32 });
  });

  it("says so where it cannot tell, and the model is taken", async () => {
    const { models, lines } = await opened({ model: factorModel(2) });
    await reload(models, { model: model(noisy) });
    expect(lines).toEqual([
      "info: It cannot be told whether batches are right: " +
        "the same row gives values of output 0 (float32) that differ",
    ]);
    expect(models.describe()).toMatchObject({ max: 16, reloads: 1 });
  });

  it.each([1, 5, 20, 60])("is given up with the reload, after %d ms", async (ms) => {
    const { models } = await opened({ model: factorModel(2), instance_num: 2, max: 1024 });
    const native = loadNative();
    const handles = native.handleCount();
    const aborter = new AbortController();
    const reason = new Error("changed my mind");
    const outcome = models.reload({ model: model(centred), signal: aborter.signal }).catch((e: unknown) => e);
    setTimeout(() => aborter.abort(reason), ms);
    const error = await within(outcome, "reload()", 30_000);
    expect(error === reason || error instanceof ModelLoadError).toBe(true);
    await until("what was begun is released", () => native.handleCount() === handles);
    await reload(models, { model: factorModel(3) });
    expect(await factorOf(models)).toBe(3);
  });
});
