/** TensorrtTensor as a whole, over the fakes of CUDA and TensorRT 10: no GPU is needed. */

import { Buffer } from "node:buffer";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ModelLoadError, pipe } from "trtpipe";
import type { Pipe, PipeConfig, Tensor } from "trtpipe";
import { identityModel } from "../models.ts";
import { runChild } from "../support/child.ts";
import { affineModel } from "../support/models.ts";
import { opener, rejection, within } from "../support/pipes.ts";
import { counting } from "../support/tensors.ts";
import { lateModel, libraries, negationModel, useFakeCuda } from "../support/tensorrt.ts";
import { root } from "../tidy/sources.ts";

useFakeCuda();
process.env.TRTPIPE_TENSORRT = libraries.tensorrt10;

/** Of the package itself. */
const hostProgram = join(root, "prebuilds", `${process.platform}-${process.arch}`, "trtpipe-host");

const open = opener(afterAll);
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-tensorrt-"));
  writeFileSync(join(folder, "negation.onnx"), negationModel());
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  for (const name of ["TRTPIPE_CUDA", "TRTPIPE_TENSORRT"]) delete process.env[name];
});

const load = async (config: PipeConfig): Promise<Error> =>
  rejection(pipe({ backend: "TensorrtTensor", log: () => {}, ...config }), "pipe()");

async function negate(models: Pipe, first: number): Promise<number[]> {
  const data = Float32Array.of(first, first + 1, first + 2, first + 3);
  const { result } = await within(models({ data }), "the call");
  return [...(result as Tensor<"float32">).data];
}

describe("element types", () => {
  it.each(["float32", "float16", "bfloat16", "int8", "uint8", "int32", "int64", "bool"] as const)(
    "%s goes in and comes out",
    async (dtype) => {
      const models = await open({ backend: "TensorrtTensor", model: identityModel(dtype), max: 4 });
      const data = counting([3, 4], dtype);
      const { result } = await within(models({ data }), "the call");
      expect(result).toMatchObject({ dtype, shape: [3, 4], data: data.data });
    },
  );
});

describe("the reference configuration", () => {
  it("runs: many callers, several instances, batches", async () => {
    const models = await open({
      instance_num: "2",
      batching_timeout: "5",
      backend: "SyncTensor[TensorrtTensor]",
      model: join(folder, "negation.onnx"),
      max: "4",
    });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => negate(models, i)));
    for (const [i, answer] of answers.entries()) expect(answer).toEqual([-i, -i - 1, -i - 2, -i - 3]);
    expect(models.describe()).toMatchObject({
      backend: "TensorrtTensor",
      backendReason: "configured",
      engine: "TensorRT 10.15.1 (Fake GPU 0)",
      engineLibrary: libraries.tensorrt10,
      inputs: [{ name: "x", dtype: "float32", shape: [-1, 4] }],
      outputs: [{ name: "y", dtype: "float32", shape: [-1, 4] }],
      batch: "dynamic",
      instanceNum: 2,
      max: 4,
    });
    expect(models.stats().meanBatch).toBeGreaterThan(1);
  });

  it("is what is taken where no backend is named", async () => {
    const models = await open({ model: negationModel(), max: 2, tensorrt: libraries.tensorrt10 });
    expect(models.describe()).toMatchObject({ backend: "TensorrtTensor", model: "bytes" });
    expect(await negate(models, 5)).toEqual([-5, -6, -7, -8]);
  });
});

describe("its keys", () => {
  it("choose the device and how the engine is built", async () => {
    const models = await open({
      backend: "TensorrtTensor",
      model: negationModel(),
      device_id: "1",
      precision: "fp16",
      max_workspace_size: "256",
      optimization_level: 1,
      cuda_graph: true,
      min: 2,
      max: "4x4",
    });
    expect(models.describe().engine).toBe("TensorRT 10.15.1 (Fake GPU 1)");
    expect(await negate(models, 1)).toEqual([-1, -2, -3, -4]);
  });

  it("name a device that is not there: the number of those that are is told", async () => {
    const error = await load({ model: negationModel(), device_id: 7 });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toMatch(/"device_id": expected a number below 2.*got 7/);
  });
});

describe("model::cache", () => {
  it("keeps the engine, and builds it anew when it does not fit", async () => {
    const cache = join(folder, "negation.trt");
    const lines: string[] = [];
    const config: PipeConfig = {
      backend: "TensorrtTensor",
      model: join(folder, "negation.onnx"),
      "model::cache": cache,
      log: (level, text) => lines.push(`${level}: ${text}`),
    };
    await (await open(config)).close();
    const first = readFileSync(cache);
    expect(statSync(cache).mode & 0o777).toBe(0o600);
    await (await open(config)).close();
    expect(readFileSync(cache)).toEqual(first);
    expect(lines).toEqual([]);
    const models = await open({ ...config, precision: "tf32" });
    expect(lines).toEqual([
      `warn: The engine in "${cache}" was built anew: its precision is "fp32", and "tf32" is needed`,
    ]);
    expect(readFileSync(cache)).not.toEqual(first);
    expect(await negate(models, 2)).toEqual([-2, -3, -4, -5]);
  });

  it("gives a file that is a model itself", async () => {
    const cache = join(folder, "as-model.engine");
    const config = { backend: "TensorrtTensor", model: negationModel(), "model::cache": cache };
    await (await open(config)).close();
    const models = await open({ model: cache });
    expect(models.describe()).toMatchObject({ backend: "TensorrtTensor", model: cache });
    expect(await negate(models, 3)).toEqual([-3, -4, -5, -6]);
    expect(await load({ backend: "OnnxTensor", model: cache })).toMatchObject({ field: "model" });
    writeFileSync(cache, readFileSync(cache).subarray(0, 100));
    expect((await load({ model: cache })).message).toMatch(/as-model\.engine": it is damaged/);
  });
});

describe("what TensorRT refuses", () => {
  it("is told with the node and the operator", async () => {
    const error = await load({ model: affineModel() });
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error).toMatchObject({ stage: "parse" });
    expect(error.message).toMatch(/TensorRT refused the model: node \d+ .*\(Add\): No importer registered/);
  });
});

describe("in child processes", () => {
  const backend = "Process[TensorrtTensor]";

  it("runs: many callers, several instances, batches", async () => {
    const models = await open({ backend, model: negationModel(), instance_num: 2, min: 2, max: 4 });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => negate(models, i)));
    for (const [i, answer] of answers.entries()) expect(answer).toEqual([-i, -i - 1, -i - 2, -i - 3]);
    expect(models.describe()).toMatchObject({ backend, engine: "TensorRT 10.15.1 (Fake GPU 0)" });
  });

  it("builds an engine anew for all of them, and tells it once", async () => {
    const cache = join(folder, "children.trt");
    const lines: string[] = [];
    const config: PipeConfig = {
      backend,
      model: join(folder, "negation.onnx"),
      instance_num: 3,
      "model::cache": cache,
      log: (level, text) => lines.push(`${level}: ${text}`),
    };
    await (await open(config)).close();
    expect(statSync(cache).mode & 0o777).toBe(0o600);
    expect(lines).toEqual([]);
    const models = await open({ ...config, precision: "tf32" });
    expect(lines).toEqual([
      `warn: The engine in "${cache}" was built anew: its precision is "fp32", and "tf32" is needed`,
    ]);
    expect(await Promise.all([1, 2, 3, 4].map((n) => negate(models, n)))).toHaveLength(4);
  });

  it("builds with the host program that was named", async () => {
    const host = join(folder, "another-name");
    symlinkSync(hostProgram, host);
    const models = await open({ backend: `(host=${host})${backend}`, model: negationModel() });
    expect(await negate(models, 4)).toEqual([-4, -5, -6, -7]);
  });
});

describe("a device that is lost", () => {
  const env = {
    FAKE_CUDA_FAIL: "cuEventSynchronize:3:700",
    TEST_MODEL: Buffer.from(negationModel()).toString("base64"),
  };

  it("costs a batch where it is a child's, and the child is replaced", async () => {
    const args = ["Process[TensorrtTensor]"];
    const { lines, ...ended } = await runChild("test/support/lost-device.mjs", { args, env });
    expect(ended).toMatchObject({ hung: false, signal: null, code: 0, stderr: "" });
    expect(lines.slice(0, 2)).toEqual(["answered -1", "answered -2"]);
    expect(lines[2]).toMatch(/^InstanceLostError TP_INSTANCE: .*CUDA_ERROR_ILLEGAL_ADDRESS \(CUDA error 700/);
    expect(lines.slice(3)).toEqual(["answered -4", "closed"]);
  });

  it("fails that call and all after it, and the pipe still closes", async () => {
    const args = ["TensorrtTensor"];
    const { lines, ...ended } = await runChild("test/support/lost-device.mjs", { args, env });
    expect(ended).toMatchObject({ hung: false, signal: null, code: 0, stderr: "" });
    expect(lines.slice(0, 2)).toEqual(["answered -1", "answered -2"]);
    expect(lines[2]).toMatch(/^DeviceLostError TP_DEVICE: .*CUDA_ERROR_ILLEGAL_ADDRESS \(CUDA error 700/);
    expect(lines[3]).toMatch(/^DeviceLostError TP_DEVICE: .*an earlier error has made it unusable/);
    expect(lines[4]).toBe("closed");
  });
});

describe("an output whose size only its data decide", () => {
  const run = async (fail: string): Promise<string[]> => {
    const env = { TEST_MODEL: Buffer.from(lateModel()).toString("base64"), FAKE_CUDA_FAIL: fail };
    const { lines, ...ended } = await runChild("test/support/late-output.mjs", { env });
    expect(ended).toMatchObject({ hung: false, signal: null, code: 0, stderr: "" });
    return lines;
  };

  it("has the size of its data", async () => {
    expect(await run("")).toEqual(["right: 40"]);
  });

  it("fails where its memory cannot be had, and the next request does not", async () => {
    const [error, ...rest] = await run("cuMemAllocAsync:20:2");
    expect(error).toMatch(/bytes of device memory for a batch: CUDA_ERROR_OUT_OF_MEMORY \(CUDA error 2/);
    expect(rest).toEqual(["right: 39"]);
  });
});

describe("callers' slots", () => {
  const bytesOf = (line: string): number => Number.parseInt(line.split(" ")[1]);
  const columns = 16_384;
  const run = async (name: string): Promise<string[]> => {
    const log = join(folder, name);
    const env = {
      FAKE_CUDA_LOG: log,
      TEST_MODEL: Buffer.from(negationModel(columns)).toString("base64"),
      TEST_COLUMNS: String(columns),
    };
    const { lines, ...ended } = await runChild("test/support/pinned-slots.mjs", { env });
    expect(ended).toMatchObject({ hung: false, signal: null, code: 0, stderr: "" });
    expect(lines).toEqual(["wrong: 0"]);
    return readFileSync(log, "utf8").trimEnd().split("\n");
  };

  it("are pinned for each caller, within the limit, and free once the pipe is closed", async () => {
    const all = await run("pinned.log");
    // Each instance's warm-up, and the first one's check of batches, has its own few rows pinned, in one
    // piece, and lets go before it serves.
    const isWarmUp = (line: string): boolean => /^(un)?register /.test(line) && bytesOf(line) < 2 ** 20;
    const words = all.filter(isWarmUp).map((line) => line.split(" ")[0]);
    const threeTimes = ["register", "unregister"].flatMap((word) => [word, word, word]);
    expect(words.toSorted()).toEqual(threeTimes);
    const lines = all.filter((line) => !isWarmUp(line));
    const count = (word: string): number => lines.filter((line) => line.startsWith(`${word} `)).length;
    // The inputs and the outputs of two callers' first slots: the third has never called.
    expect(count("register")).toBe(4);
    expect(count("unregister")).toBe(4);
    expect(lines.at(-1)).toBe("closed");
    const registered = lines.filter((line) => line.startsWith("register "));
    // 64 MiB for each caller are 512 slots of 128 KiB, an input and an output of half of that each.
    for (const line of registered) expect(Math.abs(bytesOf(line) - 2 ** 25)).toBeLessThan(8193);
    const copies = Number(lines.at(-2)!.split(": ")[1]);
    // Batches of four, and one copy each way at least.
    expect(copies).toBeGreaterThanOrEqual(2 * (100 / 4));
  });
});
