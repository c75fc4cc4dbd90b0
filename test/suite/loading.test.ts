/** From a configuration to a pipe: what it says about itself, what can go wrong, and giving up half-way. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError, ModelLoadError, Tensor, pipe } from "trtpipe";
import type { PipeConfig } from "trtpipe";
import { fixedBatchModel, openShapeModel, slowModel, sumAndProductModel } from "../models.ts";
import { affineModel } from "../support/models.ts";
import { opener, rejection, sleep, within } from "../support/pipes.ts";

const open = opener(afterAll);
const silent = { log: (): void => {} };
const quiet = (config: PipeConfig): PipeConfig => ({ ...silent, ...config });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-loading-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe("describe()", () => {
  it("says what was loaded, and how", async () => {
    const model = file("two.onnx", sumAndProductModel());
    const models = await open({
      model,
      backend: "SyncTensor[OnnxTensor]",
      instance_num: "2",
      batching_timeout: "2.5",
      max: "4",
      max_queue: 100,
      max_callers: 5,
      intra_op_threads: 1,
      session: "own",
    });
    const tensor = (name: string): object => ({ name, dtype: "float32", shape: [-1, 4] });
    expect(models.describe()).toEqual({
      backend: "OnnxTensor",
      backendReason: "configured",
      engine: expect.stringMatching(/^ONNX Runtime \d+\.\d+\.\d+/),
      engineLibrary: expect.stringMatching(/libonnxruntime/),
      binding: expect.stringMatching(/^(koffi|bun:ffi|deno)$/),
      runtime: expect.stringMatching(/^(node|bun|deno) \d+\.\d+\.\d+/),
      model,
      inputs: [tensor("a"), tensor("b")],
      outputs: [tensor("sum"), tensor("product")],
      batch: "dynamic",
      instanceNum: 2,
      max: 4,
      min: 1,
      batchingTimeoutMs: 2.5,
      runTimeoutMs: 0,
      maxQueue: 100,
      maxCallers: 5,
      intraOpThreads: 1,
      session: "own",
      reloads: 0,
      devices: [],
    });
  });

  it("is plain data", async () => {
    const models = await open({ backend: "Identity" });
    for (const told of [models.describe(), models.stats()]) {
      expect(JSON.parse(JSON.stringify(told))).toEqual(told);
    }
  });

  it("says for a model in bytes that it is one", async () => {
    const models = await open({ backend: "OnnxTensor", model: affineModel() });
    expect(models.describe().model).toBe("bytes");
  });
});

describe("a model", () => {
  it("may be a path, a file URL in both forms, or bytes", async () => {
    const path = file("affine.onnx", affineModel());
    const url = pathToFileURL(path);
    for (const model of [path, url, url.href, affineModel()]) {
      const models = await open({ backend: "OnnxTensor", model, warm_up: 0 });
      const { result } = await within(models({ data: new Float32Array(4) }), "the call");
      expect((result as Tensor).data).toEqual(Float32Array.of(1, 1, 1, 1));
    }
  });

  it("in bytes may be changed once pipe() has resolved", async () => {
    const model = affineModel();
    const models = await open({ backend: "OnnxTensor", model });
    model.fill(0);
    const { result } = await within(models({ data: new Float32Array(4) }), "the call");
    expect((result as Tensor).data).toEqual(Float32Array.of(1, 1, 1, 1));
  });
});

describe("without a backend", () => {
  it("falls back to ONNX Runtime where TensorRT cannot run, and says why", async () => {
    const models = await open({ model: affineModel() });
    const { backend, backendReason } = models.describe();
    expect(backend).toBe("OnnxTensor");
    expect(backendReason).toMatch(/TensorrtTensor: .*(libcuda|CUDA|TensorRT)/);
  });
});

describe("what cannot be loaded", () => {
  const load = async (config: PipeConfig): Promise<Error> => rejection(pipe(quiet(config)), "pipe()");

  it("is TensorRT without a GPU: the error says what is missing", async () => {
    const error = await load({ backend: "SyncTensor[TensorrtTensor]", model: affineModel() });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ code: "TP_MODEL", stage: "library" });
    expect(error.message).toMatch(/CUDA driver/);
    expect(error.message).toMatch(/libnvinfer/);
  });

  it("is a file that is not there", async () => {
    const error = await load({ backend: "OnnxTensor", model: join(folder, "missing.onnx") });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ stage: "open", path: join(folder, "missing.onnx") });
    expect(error.message).toMatch(/^Cannot open model ".*missing\.onnx"/);
  });

  it("is a folder", async () => {
    const error = await load({ backend: "OnnxTensor", model: folder });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ stage: "open" });
  });

  it.each([
    ["an empty file", "", /empty/],
    ["HTML", "<!DOCTYPE html><html></html>", /HTML/i],
    ["a git-lfs pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", /LFS/i],
    ["noise", new Uint8Array(1000).map((_, i) => i * 37 + 11), /./],
    ["half of a model", affineModel().slice(0, 90), /./],
  ])("is %s", async (name, content, says) => {
    const error = await load({ model: file(`${name}.onnx`, content) });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ stage: "parse" });
    expect(error.message).toMatch(says);
  });

  it("is noise in bytes", async () => {
    const error = await load({ model: new Uint8Array(1000).fill(7) });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ path: "bytes" });
  });

  it("is a model with a fixed batch of 1 for batches of 4: both numbers are named", async () => {
    const error = await load({ backend: "OnnxTensor", model: fixedBatchModel(1), max: 4 });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toMatch(/max is 4 rows.*dimension 0.*is 1/);
  });

  it("is a model with open item dimensions without their sizes: the input is named", async () => {
    const error = await load({ backend: "OnnxTensor", model: openShapeModel(), max: 4 });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ field: "max" });
    expect(error.message).toMatch(/"x".*\[-1, -1, -1\]/);
  });

  it("is a script of the instances that is not there", async () => {
    const error = await load({ backend: "Identity", workerUrl: join(folder, "no-worker.js") });
    expect(error.message).toMatch(/no-worker\.js|instance/i);
  });

  it.each([
    [{ backend: "Identity", instance_num: 0 }, "instance_num"],
    [{ backend: "Nothing" }, "backend"],
    [{}, "model"],
    [{ backend: "Identity", max_que: 3 } as PipeConfig, "max_que"],
  ])("is the configuration %j", async (config, field) => {
    expect(await load(config)).toMatchObject({ name: "ConfigError", code: "TP_CONFIG", field });
  });

  it("leaves nothing behind that keeps it from being loaded at last", async () => {
    const path = join(folder, "late.onnx");
    expect(await load({ backend: "OnnxTensor", model: path })).toBeInstanceOf(ModelLoadError);
    writeFileSync(path, affineModel());
    const models = await open({ backend: "OnnxTensor", model: path });
    await within(models({ data: new Float32Array(4) }), "the call");
  });
});

describe("the signal", () => {
  it("that is aborted already keeps everything from beginning", async () => {
    const reason = new Error("not wanted");
    const loading = pipe(quiet({ backend: "Identity" }), { signal: AbortSignal.abort(reason) });
    expect(await rejection(loading)).toBe(reason);
  });

  it("ends loading at whatever moment it comes", async () => {
    const model = slowModel(1);
    for (const afterMs of [0, 5, 20, 60, 120]) {
      const controller = new AbortController();
      const reason = new Error(`after ${afterMs} ms`);
      const loading = pipe(quiet({ backend: "OnnxTensor", model, instance_num: 2 }), {
        signal: controller.signal,
      });
      const failure = loading.then(
        async (models) => models.close(),
        (error: unknown) => error,
      );
      await sleep(afterMs);
      controller.abort(reason);
      // Loading may have been faster.
      expect([reason, undefined]).toContain(await within(failure, "pipe()"));
    }
  });

  it("does nothing once the pipe is open, and is let go", async () => {
    const controller = new AbortController();
    const models = await open({ backend: "Identity" }, { signal: controller.signal });
    controller.abort();
    const { result } = await within(models({ data: Float32Array.of(1) }), "the call");
    expect((result as Tensor).data).toEqual(Float32Array.of(1));
  });
});

describe("log", () => {
  it("is told nothing by a pipe that opens, runs and closes as it should", async () => {
    const lines: string[] = [];
    const models = await open({ backend: "Identity", log: (level, text) => lines.push(`${level}: ${text}`) });
    await models({ data: Float32Array.of(1) });
    await models.close();
    expect(lines.filter((line) => /^(warn|error)/.test(line))).toEqual([]);
  });
});
