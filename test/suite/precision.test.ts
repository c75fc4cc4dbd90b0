/** `precision` as users set it: through pipes, on ONNX Runtime and over the fake of TensorRT 11. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError, ModelLoadError, Tensor, pipe } from "trtpipe";
import type { PipeConfig } from "trtpipe";
import { ensureModel } from "../../examples/models/index.ts";
import { perceptronModel } from "../support/models.ts";
import { opener, rejection, within } from "../support/pipes.ts";
import { libraries, negationModel, useFakeCuda } from "../support/tensorrt.ts";
import { noise } from "../support/tensors.ts";

const open = opener(afterAll);
const data = (name: string): string => fileURLToPath(new URL(`../../examples/data/${name}`, import.meta.url));
let resnet18 = "";
let folder = "";
beforeAll(async () => {
  resnet18 = await ensureModel("resnet18");
  folder = mkdtempSync(join(tmpdir(), "trtpipe-precision-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function answer(config: PipeConfig, input: Tensor): Promise<Float32Array> {
  const models = await open({ backend: "OnnxTensor", max: 4, ...config });
  const { result } = await within(models({ data: input }), "the call", 30_000);
  const [output] = models.describe().outputs;
  expect(output.dtype).toBe("float32");
  await models.close();
  return (result as Tensor).data as Float32Array;
}

/** The largest difference between two precisions, relative to the largest value. */
async function lost(model: PipeConfig["model"], input: Tensor, keys: PipeConfig): Promise<number> {
  const [expected, got] = [
    await answer({ model: model! }, input),
    await answer({ model: model!, ...keys }, input),
  ];
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i]) / scale), 0);
}

describe("fp16 on ONNX Runtime", () => {
  const characters = Int32Array.from({ length: 4096 }, (_, i) => (i * 7919) % 257);
  it.each([
    ["ResNet18", () => resnet18, noise([2, 3, 224, 224], 1)],
    ["EfficientNet-Lite0", () => data("efficientnet_lite0.onnx"), noise([2, 3, 224, 224], 2)],
    ["magika", () => data("magika.onnx"), Tensor.from(characters, { shape: [2, 2048] })],
  ])("%s: within a hundredth of fp32, and not the same", async (_, model, input) => {
    const difference = await lost(model(), input, { precision: "fp16" });
    expect(difference).toBeLessThan(1e-2);
    expect(difference).toBeGreaterThan(0);
  });

  it("in child processes, with sessions of their own, and with images", async () => {
    const precision = "fp16";
    const x = noise([3, 8], 3);
    const own: PipeConfig = { precision, session: "own", instance_num: 2 };
    const different = await lost(perceptronModel(), x, { precision });
    expect(different).toBeLessThan(1e-2);
    expect(await lost(perceptronModel(), x, own)).toBe(different);
    expect(await lost(perceptronModel(), x, { precision, backend: "Process[OnnxTensor]" })).toBe(different);
    const image = { precision, mean: "0,0,0", std: [1, 1, 1] } as const;
    expect(await lost(resnet18, noise([1, 3, 224, 224], 4), image)).toBeLessThan(1e-2);
  });

  it("only of layers that are named", async () => {
    const x = noise([3, 8], 3);
    const all = await lost(perceptronModel(), x, { precision: "fp16" });
    const one = await lost(perceptronModel(), x, { "precision::fp16": "product2" });
    expect(one).toBeGreaterThan(0);
    expect(await lost(perceptronModel(), x, { precision: "fp16", "precision::fp32": ["*"] })).toBe(0);
    expect(await lost(perceptronModel(), x, { precision: "tf32" })).toBe(0);
    expect(all).not.toBe(one);
    const model = perceptronModel();
    const error = await rejection(
      pipe({ backend: "OnnxTensor", model, "precision::fp16": "product2,product3" }),
    );
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ field: "precision::fp16", value: '"product3"' });
  });

  it("bf16 is refused: there are no kernels for it", async () => {
    const error = await rejection(
      pipe({ backend: "OnnxTensor", model: perceptronModel(), precision: "bf16" }),
    );
    expect(error).toMatchObject({ field: "precision", value: '"bf16"' });
  });
});

describe("TensorRT 11, which takes a model's own types", () => {
  const config: PipeConfig = { backend: "TensorrtTensor", tensorrt: libraries.tensorrt11, log: () => {} };
  beforeAll(() => useFakeCuda());
  afterAll(() => delete process.env.TRTPIPE_CUDA);

  it.each(["TensorrtTensor", "Process[TensorrtTensor]"])("%s gets the model converted", async (backend) => {
    // The fake knows no Cast: what it refuses is what the conversion put into the graph.
    const error = await rejection(pipe({ ...config, backend, model: perceptronModel(), precision: "fp16" }));
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toMatch(/node 6 "layer2_fp16_float32" \(Cast\): No importer registered/);
    const plain = await rejection(pipe({ ...config, backend, model: perceptronModel() }));
    expect(plain.message).toMatch(/node 4 "layer2" \(Add\): No importer registered/);
  });

  it("runs what there is nothing to convert in, from bytes and from a file", async () => {
    const path = join(folder, "negation.onnx");
    writeFileSync(path, negationModel());
    for (const model of [path, negationModel()]) {
      const models = await open({ ...config, model, precision: "bf16" });
      const { result } = await within(models({ data: Float32Array.of(1, 2, 3, 4) }), "the call");
      expect([...(result as Tensor<"float32">).data]).toEqual([-1, -2, -3, -4]);
      expect(models.describe().engine).toMatch(/^TensorRT 11/);
    }
  });

  it("keeps the converted model's engine", async () => {
    const cache = join(folder, "kept.trt");
    const lines: string[] = [];
    const kept: PipeConfig = {
      ...config,
      model: negationModel(),
      precision: "fp16",
      "model::cache": cache,
      log: (level, text) => lines.push(`${level}: ${text}`),
    };
    await (await open(kept)).close();
    await (await open(kept)).close();
    expect(lines).toEqual([]);
    const models = await open({ model: cache, precision: "fp16", tensorrt: libraries.tensorrt11 });
    expect(models.describe().backend).toBe("TensorrtTensor");
    const named = await rejection(pipe({ model: cache, "precision::fp16": "y" }));
    expect(named).toMatchObject({ field: "precision::fp16" });
  });
});
