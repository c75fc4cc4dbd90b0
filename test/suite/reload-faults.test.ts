/** reload() where something dies or is slow, and with every backend. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { InstanceLostError, ModelLoadError, PipeClosedError, Tensor } from "trtpipe";
import type { Pipe, PipeConfig } from "trtpipe";
import { loadNative } from "../../src/native/load.ts";
import type { ModelBytes } from "../models.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { hostProcesses } from "../support/host-processes.ts";
import { makeChannel } from "../support/memory.ts";
import { opener, rejection, until, within } from "../support/pipes.ts";
import { factorModel, factorOf } from "../support/reloading.ts";
import { libraries, negationModel, unaryModel, useFakeCuda } from "../support/tensorrt.ts";

useFaultLibrary();
useFakeCuda();
const open = opener(afterEach);

const SLOTS = 16;
process.env.TEST_SLOT_WORD = String(makeChannel({ slots: SLOTS }).layout.word);
/** See dying-worker-hooks.mjs. */
const Death = { leading: -101, answering: -102, exiting: -103 } as const;

/** The hooks look for a row's only element. */
const ONE = { item: 1 };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-reload-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  delete process.env.TRTPIPE_CUDA;
});

describe("an instance that dies during a reload", () => {
  const openMortal = (instance_num: number): Promise<Pipe> =>
    open({
      backend: "OnnxTensor",
      model: factorModel(2, ONE),
      intra_op_threads: 1,
      max: 1,
      max_queue: SLOTS,
      instance_num,
      workerUrl: new URL("../support/dying-worker.mjs", import.meta.url),
    });
  const kill = (models: Pipe, death: keyof typeof Death): Promise<unknown> =>
    models({ data: Float32Array.of(Death[death]) }).then(
      () => null,
      (error: unknown) => error,
    );

  it.each([
    ["answering", 1, 0],
    ["answering", 2, 30],
    ["exiting", 2, 0],
    ["leading", 2, 10],
  ] as const)(
    "is followed by one of the right model: %s, %d instances, after %d ms",
    async (death, n, ms) => {
      const models = await openMortal(n);
      const native = loadNative();
      const handles = native.handleCount();
      for (const factor of [3, 4]) {
        const reload = models.reload({ model: factorModel(factor, ONE) });
        if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
        const victim = kill(models, death);
        const others = Array.from({ length: 5 }, () => factorOf(models, 1));
        for (const answer of await Promise.all(others)) expect([factor - 1, factor]).toContain(answer);
        const isLost = (await within(victim, "the victim")) instanceof InstanceLostError;
        expect(isLost).toBe(death !== "leading");
        await within(reload, "reload()", 30_000);
        for (let i = 0; i < 2 * n; i++) expect(await factorOf(models, 1)).toBe(factor);
      }
      await until("both are replaced", () => models.stats().instanceRestarts === 2);
      await until("the old models are released", () => native.handleCount() === handles);
      // Whoever comes after a later death runs the model that is served.
      await kill(models, "answering");
      for (let i = 0; i < 2 * n; i++) expect(await factorOf(models, 1)).toBe(4);
    },
  );
});

describe("an instance that is busy", () => {
  const ask = (models: Pipe, opcode: number, argument: number): Promise<unknown> =>
    models({ data: Float32Array.of(opcode, argument, 7) });

  it("changes over when its batch is done; the others go on meanwhile", async () => {
    const models = await open({ backend: "(shape=3)Fault", instance_num: 2, max: 1 });
    const order: string[] = [];
    const slow = ask(models, Fault.sleepMs, 1500).then(() => void order.push("slow"));
    const reload = within(models.reload(), "reload()").then(() => void order.push("reload"));
    const untilMs = performance.now() + 1000;
    for (let n = 0; performance.now() < untilMs; n++)
      await within(ask(models, Fault.none, 0), "a call", 1200);
    await Promise.all([slow, reload]);
    expect(order).toEqual(["slow", "reload"]);
    expect(models.stats()).toMatchObject({ failed: 0, reloads: 1 });
  });

  it("is waited for by close(), and the reload says that the pipe was closed", async () => {
    const native = loadNative();
    const handles = native.handleCount();
    const models = await open({ backend: "(shape=3)Fault", instance_num: 2, max: 1 });
    const slow = ask(models, Fault.sleepMs, 700);
    const reload = rejection(models.reload(), "reload()");
    await new Promise((resolve) => setTimeout(resolve, 350));
    await within(models.close(), "close()");
    expect(await reload).toBeInstanceOf(PipeClosedError);
    await within(slow, "the slow call");
    await until("all is released", () => native.handleCount() === handles);
  });
});

describe("a new model of which an instance cannot be made", () => {
  it.each([1, 2])("leaves the old one: instance %d of 2", async (failing) => {
    const models = await open({ backend: "(shape=3)Fault", instance_num: 2, max: 1 });
    const native = loadNative();
    const handles = native.handleCount();
    const error = await rejection(models.reload({ backend: `(shape=3, fail_create=${failing})Fault` }));
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ stage: "warm-up", path: "Fault" });
    expect(error.message).toContain("fail_create");
    await until("what was begun is released", () => native.handleCount() === handles);
    await within(models({ data: Float32Array.of(0, 0, 1) }), "a call");
    await within(models.reload(), "the next reload");
    expect(models.stats()).toMatchObject({ reloads: 1, instanceRestarts: 0, failed: 0 });
  });
});

describe("every backend", () => {
  const first = async (models: Pipe): Promise<number> => {
    const { result } = await within(models({ data: Float32Array.of(-6, 1, 2, 3) }), "a call");
    return ((result as Tensor).data as Float32Array)[0];
  };
  const write = (name: string, bytes: ModelBytes): string => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };

  it("TensorrtTensor, with a cache of its own for each model", async () => {
    const native = loadNative();
    const models = await open({
      backend: "TensorrtTensor",
      tensorrt: libraries.tensorrt10,
      model: write("negation.onnx", negationModel()),
      "model::cache": join(folder, "negation.trt"),
      max: 2,
      instance_num: 2,
    });
    const handles = native.handleCount();
    expect(await first(models)).toBe(6);
    const absolute = write("absolute.onnx", unaryModel("Abs"));
    const cache = join(folder, "absolute.trt");
    await within(models.reload({ model: absolute, "model::cache": cache }), "reload()", 30_000);
    expect(await first(models)).toBe(6);
    await within(models.reload({ model: cache }), "the reload of the engine", 30_000);
    const { result } = await within(models({ data: Float32Array.of(5, 5, 5, 5) }), "a call");
    expect([...((result as Tensor).data as Float32Array)]).toEqual([5, 5, 5, 5]);
    expect(models.describe()).toMatchObject({ backend: "TensorrtTensor", model: cache, reloads: 2 });
    const error = await rejection(
      models.reload({ model: write("broken.onnx", unaryModel("Abs").subarray(0, 40)) }),
    );
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(await first(models)).toBe(6);
    await until("the old engines are released", () => native.handleCount() === handles);
  });

  it.each<[string, PipeConfig]>([
    ["Process[OnnxTensor]", { instance_num: 2 }],
    ["SyncTensor[OnnxTensor]", { session: "own", instance_num: 2 }],
  ])("%s", async (backend, config) => {
    const before = hostProcesses().length;
    const models = await open({ backend, model: factorModel(2), max: 4, intra_op_threads: 1, ...config });
    const processes = hostProcesses().length - before;
    const native = loadNative();
    const handles = native.handleCount();
    for (const factor of [3, 4, 5]) {
      const calls = Array.from({ length: 20 }, () => factorOf(models));
      await within(models.reload({ model: factorModel(factor) }), "reload()", 30_000);
      for (const answer of await Promise.all(calls)) expect([factor - 1, factor]).toContain(answer);
      expect(await factorOf(models)).toBe(factor);
    }
    await until("the old instances are released", () => native.handleCount() === handles);
    await until("the old processes have ended", () => hostProcesses().length - before === processes);
    expect(models.stats()).toMatchObject({ failed: 0, reloads: 3, instanceRestarts: 0 });
  });

  it("another backend than before, of the same model", async () => {
    const models = await open({ backend: "OnnxTensor", model: factorModel(2), max: 4 });
    await within(models.reload({ backend: "Process[OnnxTensor]" }), "reload()", 30_000);
    expect(models.describe().backend).toBe("Process[OnnxTensor]");
    expect(await factorOf(models)).toBe(2);
  });
});
