/** reload(): another model in place of the one that is served, under load, and what keeps the old one. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ConfigError, ModelLoadError, PipeClosedError } from "trtpipe";
import type { Pipe, PipeConfig, ReloadOptions } from "trtpipe";
import { loadNative } from "../../src/native/load.ts";
import { fixedBatchModel, identityModel, sumAndProductModel } from "../models.ts";
import { callers } from "../support/caller-thread.ts";
import { opener, rejection, until, within } from "../support/pipes.ts";
import { Bound, factorModel, factorOf, newBounds, reloadFactor } from "../support/reloading.ts";

const open = opener(afterEach);
const caller = callers(afterEach);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-reload-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function openFactor(factor: number, config: PipeConfig = {}): Promise<Pipe> {
  return open({ backend: "OnnxTensor", model: factorModel(factor), max: 4, intra_op_threads: 1, ...config });
}

describe("a reload under load", () => {
  it("fails no request, and from its end on only the new model answers", { timeout: 90_000 }, async () => {
    const models = await openFactor(2, { instance_num: 2, batching_timeout: 1 });
    const bounds = newBounds(2);
    const words = [Bound.end, Bound.lowest, Bound.highest];
    // Two threads of their own, and one on this thread by way of a third place.
    const threads = [await caller(models.share()), await caller(models.share())];
    const watching = threads.map((thread) => thread.ask("watch", { count: 8, words, bounds }, 80_000));
    const here = new Set<number>();
    let failed = 0;
    const calling = (async () => {
      while (Atomics.load(bounds, Bound.end) === 0) {
        const least = bounds[Bound.lowest];
        const factor = await factorOf(models).catch(() => Number.NaN);
        if (!(factor >= least && factor <= bounds[Bound.highest])) failed++;
        here.add(factor);
      }
    })();
    const factors = [3, 4, 5, 6, 7, 8];
    for (const factor of factors) await reloadFactor(models, bounds, factor);
    Atomics.store(bounds, Bound.end, 1);
    await within(calling, "the calls here");
    expect(failed).toBe(0);
    expect(here.size).toBeGreaterThan(1);
    for (const seen of await Promise.all(watching)) {
      expect(seen).toMatchObject({ wrong: 0, failed: 0, errors: [] });
      expect(seen.answers).toBeGreaterThan(factors.length);
    }
    expect(models.stats()).toMatchObject({ failed: 0, reloads: factors.length, instanceRestarts: 0 });
  });

  it("leaves nothing behind: 30 of them, and what is native is as before", { timeout: 90_000 }, async () => {
    const models = await openFactor(2, { instance_num: 2 });
    const native = loadNative();
    const handles = native.handleCount();
    for (let factor = 3; factor < 33; factor++) {
      const calls = Array.from({ length: 10 }, () => factorOf(models));
      await within(models.reload({ model: factorModel(factor) }), "reload()", 30_000);
      for (const answer of await Promise.all(calls)) expect([factor - 1, factor]).toContain(answer);
      expect(await factorOf(models)).toBe(factor);
    }
    await until("the last old model is released", () => native.handleCount() === handles);
    expect(models.stats()).toMatchObject({ reloads: 30, failed: 0, freeSlots: 1024 });
  });
});

describe("what is told of a reload", () => {
  it("is the model that is served, here and where it was attached before", async () => {
    const path = join(folder, "three.onnx");
    writeFileSync(path, factorModel(3));
    const models = await openFactor(2);
    const thread = await caller();
    expect(await thread.ask("attach", models.share())).toMatchObject({ model: "bytes", reloads: 0 });
    await within(models.reload({ model: path, session: "own", intra_op_threads: 2 }), "reload()");
    const expected = { model: path, session: "own", intraOpThreads: 2, reloads: 1, max: 4 };
    expect(models.describe()).toMatchObject(expected);
    expect(await thread.ask("describe", undefined)).toEqual(models.describe());
    expect(await thread.ask("stats", undefined)).toMatchObject({ reloads: 1 });
    const late = await caller();
    expect(await late.ask("attach", models.share())).toEqual(models.describe());
  });

  it("counts the file that is read again, where no model is named", async () => {
    const path = join(folder, "changing.onnx");
    writeFileSync(path, factorModel(2));
    const models = await openFactor(1, { model: path });
    writeFileSync(path, factorModel(9));
    expect(await factorOf(models)).toBe(2);
    await within(models.reload(), "reload()");
    expect(await factorOf(models)).toBe(9);
    expect(models.describe()).toMatchObject({ model: path, reloads: 1 });
  });
});

describe("a reload that fails", () => {
  const failing = async (options: ReloadOptions, config: PipeConfig = {}): Promise<Error> => {
    const models = await openFactor(2, { instance_num: 2, ...config });
    const native = loadNative();
    const handles = native.handleCount();
    const calls = Array.from({ length: 20 }, () => factorOf(models));
    const error = await rejection(models.reload(options), "reload()");
    expect(new Set(await Promise.all(calls))).toEqual(new Set([2]));
    expect(await factorOf(models)).toBe(2);
    expect(models.stats()).toMatchObject({ reloads: 0, failed: 0, instanceRestarts: 0 });
    expect(models.describe()).toMatchObject({ model: "bytes", reloads: 0 });
    await until("what was begun is released", () => native.handleCount() === handles);
    // The pipe is as good as ever.
    await within(models.reload({ model: factorModel(3) }), "the next reload");
    expect(await factorOf(models)).toBe(3);
    return error;
  };

  it("leaves the old model where the new one's file is broken or missing", async () => {
    const path = join(folder, "broken.onnx");
    writeFileSync(path, factorModel(3).subarray(0, 60));
    expect(await failing({ model: path })).toMatchObject({ code: "TP_MODEL", stage: "parse", path });
    const missing = join(folder, "missing.onnx");
    const error = await failing({ model: missing });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ stage: "open", path: missing });
  });

  it.each<[string, ReloadOptions, RegExp, PipeConfig?]>([
    ["an input of another name", { model: factorModel(3, { input: "z" }) }, /input 1 as "x".*it has "z"/],
    ["an input of another shape", { model: factorModel(3, { item: 5 }) }, /"x" float32 \[-1, 4\].*\[-1, 5\]/],
    ["an input of another dtype", { model: identityModel("int32") }, /input 1 as "x" float32.*"x" int32/],
    ["more inputs and outputs", { model: sumAndProductModel() }, /input 1 as "x".*it has "a"/],
    ["another batch dimension", { model: fixedBatchModel(4) }, /"x" float32 \[-1, 4\].*"x" float32 \[4, 4\]/],
  ])("leaves the old model where the new one has %s", async (_, options, text) => {
    const error = await failing(options);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ field: "model" });
    expect(error.message).toMatch(text);
  });

  it.each<[string, object, string, RegExp]>([
    ["max", { max: 8 }, "max", /settled when the pipe is made/],
    ["a key that nobody knows", { modle: "x" }, "modle", /did you mean "model"/],
    ["a model that is nothing", { model: 7 }, "model", /path of an ONNX file/],
    ["a signal that is none", { signal: 1 }, "signal", /an AbortSignal/],
  ])("refuses %s", async (_, options, field, text) => {
    const error = await failing(options as ReloadOptions);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ field });
    expect(error.message).toMatch(text);
  });

  it("is given up when its signal says so, before, at once or while it loads", async () => {
    const models = await openFactor(2);
    const native = loadNative();
    const handles = native.handleCount();
    const reason = new Error("changed my mind");
    expect(await rejection(models.reload({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    const aborter = new AbortController();
    const reload = models.reload({ model: factorModel(3), signal: aborter.signal });
    setTimeout(() => aborter.abort(reason), 1);
    expect(await rejection(reload)).toBe(reason);
    await until("what was begun is released", () => native.handleCount() === handles);
    expect(await factorOf(models)).toBe(2);
  });
});

describe("several reloads at once", () => {
  it("go one after the other, and one that fails does not stop the next", async () => {
    const models = await openFactor(2, { instance_num: 2 });
    const ended: string[] = [];
    const note = (name: string, reload: Promise<void>): Promise<void> =>
      reload.then(
        () => void ended.push(name),
        () => void ended.push(`${name} failed`),
      );
    const aborter = new AbortController();
    const all = [
      note("three", models.reload({ model: factorModel(3) })),
      note("other", models.reload({ model: sumAndProductModel() })),
      note("given up", models.reload({ model: factorModel(4), signal: aborter.signal })),
      note("five", models.reload({ model: factorModel(5) })),
    ];
    aborter.abort();
    await within(Promise.all(all), "the reloads", 30_000);
    expect(ended).toEqual(["given up failed", "three", "other failed", "five"]);
    expect(await factorOf(models)).toBe(5);
    expect(models.stats().reloads).toBe(2);
  });
});

describe("close() and a reload", () => {
  it.each([0, 1, 5, 30])("rejects the reload after %d ms, and what was called is answered", async (ms) => {
    const native = loadNative();
    const handles = native.handleCount();
    const models = await openFactor(2, { instance_num: 2 });
    const reloads = [3, 4].map((factor) => models.reload({ model: factorModel(factor) }));
    const outcomes = Promise.allSettled(reloads);
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    const calls = Array.from({ length: 20 }, () => factorOf(models));
    await within(models.close(), "close()");
    for (const answer of await Promise.all(calls)) expect([2, 3, 4]).toContain(answer);
    const settled = await within(outcomes, "the reloads");
    const reasons = settled.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    expect(reasons.every((reason) => reason instanceof PipeClosedError)).toBe(true);
    expect(settled.at(-1)!.status).toBe("rejected");
    expect(await rejection(models.reload())).toBeInstanceOf(PipeClosedError);
    await until("all is released", () => native.handleCount() === handles);
  });
});
