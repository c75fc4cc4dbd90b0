/** mean, std, input_layout and input_dtype: what is done to an image in front of the model. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError, Tensor, pipe } from "trtpipe";
import type { Pipe, PipeConfig, PipeInput } from "trtpipe";
import { models } from "../../examples/models/index.ts";
import { Random } from "../../examples/models/random.ts";
import type { OnnxDtype } from "../../src/onnx/dtypes.ts";
import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import type { TensorValue } from "../../src/onnx/graph-protos.ts";
import { fromHalves } from "../../src/onnx/halves.ts";
import type { ModelBytes } from "../models.ts";
import { opener, rejection, within } from "../support/pipes.ts";

const open = opener(afterAll);
const folder = mkdtempSync(join(tmpdir(), "trtpipe-image-"));
afterAll(() => rmSync(folder, { recursive: true }));

const valuesOf = (result: PipeInput["result"]): Float32Array => (result as Tensor<"float32">).data;

const mean = [123.675, 116.28, 103.53];
const std = [58.395, 57.12, 57.375];
const [height, width] = [5, 7];

interface ConvOptions {
  opset?: number;
  dims?: readonly (number | string)[];
  weight?: TensorValue["data"];
  dtype?: OnnxDtype;
}

/** x [N, 3, H, W] -> y [N, 4, H, W]: one convolution; `seen` is what it was given. */
function convModel({
  opset = 17,
  dims = ["N", 3, height, width],
  weight,
  dtype = "float32",
}: ConvOptions): ModelBytes {
  const graph = new GraphBuilder("conv", { opset });
  const x = graph.input("x", dtype, dims);
  const data = weight ?? new Random(5).normals(4 * 3 * 9, 0.2);
  const w = graph.initializer("w", "float32", [4, 3, 3, 3], data);
  const input = dtype === "float32" ? x : graph.node("Cast", [x], ["wide"], { to: 1 });
  graph.output(graph.node("Identity", [x], ["seen"]), dtype, dims);
  const y = graph.node("Conv", [input, w], ["y"], { pads: [1, 1, 1, 1] });
  graph.output(y, "float32", [dims[0], 4, dims[2], dims[3]]);
  return graph.toBytes();
}

/** Pixels of `rows` images, NHWC. */
function pixels(rows: number, seed = 3): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from(random.normals(rows * height * width * 3, 60), (value) => 127 + value);
}

/** What a person would do by hand: NHWC bytes to normalised NCHW floats. */
function byHand(image: Uint8Array, rows: number, channels = 3): Float32Array {
  const to = new Float32Array(image.length);
  const plane = height * width;
  for (let n = 0; n < rows; n++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < plane; p++) {
        const pixel = image[(n * plane + p) * channels + c];
        to[(n * channels + c) * plane + p] = (pixel - mean[c]) / std[c];
      }
  return to;
}

async function ask(
  on: Pipe,
  data: Tensor | Record<string, Tensor>,
): Promise<Record<string, Tensor<"float32">>> {
  const { result } = await within(on({ data }), "the call");
  return result as Record<string, Tensor<"float32">>;
}

/** The largest difference, relative to values above 1. */
function difference(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(got.length).toBe(expected.length);
  let largest = 0;
  for (let i = 0; i < got.length; i++) {
    largest = Math.max(largest, Math.abs(got[i] - expected[i]) / Math.max(1, Math.abs(expected[i])));
  }
  return largest;
}

const plain: PipeConfig = { backend: "OnnxTensor", max: 4 };
const image: PipeConfig = { ...plain, mean: mean.join(","), std, input_layout: "NHWC", input_dtype: "uint8" };

/** The pipe for `image` keys against the pipe for the model as it is, fed by hand. */
async function changedByKeys(model: ModelBytes | string, config: PipeConfig = image): Promise<number> {
  const [changed, same] = [await open({ ...config, model }), await open({ ...plain, model })];
  const data = pixels(3);
  const got = await ask(changed, Tensor.from(data, { shape: [3, height, width, 3] }));
  const expected = await ask(same, Tensor.from(byHand(data, 3), { shape: [3, 3, height, width] }));
  return Math.max(difference(got.seen.data, expected.seen.data), difference(got.y.data, expected.y.data));
}

describe("uint8 NHWC images", () => {
  it.each([11, 13, 17])("equal images that were normalised by hand, opset %i", async (opset) => {
    expect(await changedByKeys(convModel({ opset }))).toBeLessThan(1e-5);
  });

  it("where the model is a file", async () => {
    const path = join(folder, "conv.onnx");
    writeFileSync(path, convModel({}));
    expect(await changedByKeys(path)).toBeLessThan(1e-5);
    expect(await changedByKeys(path, { ...image, backend: "Process[OnnxTensor]" })).toBeLessThan(1e-5);
  });

  it("where its weights are in another file", async () => {
    const weights = new Random(5).normals(4 * 3 * 9, 0.2);
    writeFileSync(join(folder, "weights"), new Uint8Array(Float32Array.of(9, ...weights).buffer));
    const path = join(folder, "external.onnx");
    writeFileSync(path, convModel({ weight: { location: "weights", offset: 4, length: 432 } }));
    expect(await changedByKeys(path)).toBeLessThan(1e-5);
  });

  it("where each instance has a session of its own", async () => {
    expect(await changedByKeys(convModel({}), { ...image, session: "own", instance_num: 2 })).toBeLessThan(
      1e-5,
    );
  });

  it("are what describe() tells, and no others are taken", async () => {
    const on = await open({ ...image, model: convModel({ dims: ["N", 3, "H", "W"] }), max: "4x5x7x3" });
    expect(on.describe().inputs).toEqual([{ name: "x", dtype: "uint8", shape: [-1, -1, -1, 3] }]);
    const floats = Tensor.from(new Float32Array(105), { shape: [1, height, width, 3] });
    expect(await rejection(on({ data: floats }))).toMatchObject({ code: "TP_INPUT" });
  });

  it("of one real network: ResNet18 with small images", async () => {
    const model = models["resnet18-small"].make();
    const same = await open({ ...plain, model });
    const [, channels, size] = same.describe().inputs[0].shape!;
    const changed = await open({ ...image, model });
    const data = Uint8Array.from(new Random(8).normals(2 * channels * size * size, 60), (v) => 127 + v);
    const hand = new Float32Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const [n, p, c] = [Math.floor(i / (3 * size * size)), Math.floor(i / 3) % (size * size), i % 3];
      hand[(n * 3 + c) * size * size + p] = (data[i] - mean[c]) / std[c];
    }
    const got = await within(changed({ data: Tensor.from(data, { shape: [2, size, size, 3] }) }), "it");
    const expected = await within(same({ data: Tensor.from(hand, { shape: [2, 3, size, size] }) }), "it");
    expect(difference(valuesOf(got.result), valuesOf(expected.result))).toBeLessThan(1e-5);
  });
});

describe("each key alone", () => {
  it("mean and std of float images as they come", async () => {
    const [changed, same] = [
      await open({ ...plain, model: convModel({}), mean, std: std.join(",") }),
      await open({ ...plain, model: convModel({}) }),
    ];
    const data = pixels(1);
    const planes = Float32Array.from(
      { length: data.length },
      (_, i) => data[(i % 35) * 3 + Math.floor(i / 35)],
    );
    const got = await ask(changed, Tensor.from(planes, { shape: [1, 3, height, width] }));
    const expected = await ask(same, Tensor.from(byHand(data, 1), { shape: [1, 3, height, width] }));
    expect(difference(got.y.data, expected.y.data)).toBeLessThan(1e-5);
  });

  it("input_layout turns a model's own NHWC, and nothing is turned where it is the same", async () => {
    const dims = ["N", height, width, 3];
    const graph = new GraphBuilder("nhwc");
    graph.output(graph.node("Identity", [graph.input("x", "float32", dims)], ["seen"]), "float32", dims);
    const model = graph.toBytes();
    const same = await open({ ...plain, model, input_layout: "NHWC", std: 2 + ",2,2" });
    expect(same.describe().inputs[0].shape).toEqual([-1, height, width, 3]);
    const turned = await open({ ...plain, model, input_layout: "NCHW" });
    expect(turned.describe().inputs[0].shape).toEqual([-1, 3, height, width]);
    const data = Float32Array.from(pixels(1));
    const halved = await within(same({ data }), "it");
    expect(
      difference(
        valuesOf(halved.result),
        data.map((value) => value / 2),
      ),
    ).toBeLessThan(1e-5);
    const back = await within(turned({ data }), "it");
    const expected = data.map((_, i) => data[(i % 3) * 35 + Math.floor(i / 3)]);
    expect(difference(valuesOf(back.result), expected)).toBeLessThan(1e-5);
  });

  it("a model of float16 gets float16", async () => {
    const on = await open({ ...image, model: convModel({ dtype: "float16" }) });
    const data = pixels(1);
    const got = await ask(on, Tensor.from(data, { shape: [1, height, width, 3] }));
    expect(got.seen.dtype).toBe("float16");
    const seen = fromHalves(got.seen.data as unknown as Uint16Array, "float16");
    expect(difference(seen, byHand(data, 1))).toBeLessThan(1e-3);
  });
});

describe("several inputs", () => {
  const twoImages = (): ModelBytes => {
    const graph = new GraphBuilder("two");
    const a = graph.input("a", "float32", ["N", 3, height, width]);
    const b = graph.input("b", "float32", ["N", 3, height, width]);
    graph.output(graph.node("Sub", [a, b], ["y"]), "float32", ["N", 3, height, width]);
    return graph.toBytes();
  };

  it("need the name of the one that is meant", async () => {
    const error = await rejection(pipe({ ...image, model: twoImages() }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ field: "image_input" });
    expect(error.message).toContain('the name of the input that mean is for, one of "a", "b"');
    const wrong = await rejection(pipe({ ...image, model: twoImages(), image_input: "c" }));
    expect(wrong).toMatchObject({ field: "image_input", expected: 'one of the model\'s inputs, "a", "b"' });
  });

  it("and only that one is changed", async () => {
    const on = await open({ ...image, model: twoImages(), image_input: "b" });
    const data = pixels(1);
    const a = Tensor.from(new Float32Array(data.length), { shape: [1, 3, height, width] });
    const { result } = await within(
      on({ data: { a, b: Tensor.from(data, { shape: [1, height, width, 3] }) } }),
      "the call",
    );
    expect(
      difference(
        valuesOf(result),
        byHand(data, 1).map((value) => -value),
      ),
    ).toBeLessThan(1e-5);
  });
});

describe("graphs within the graph", () => {
  it("use the changed image too", async () => {
    const branch = (name: string, op: string): GraphBuilder => {
      const graph = new GraphBuilder(name);
      graph.output(graph.node(op, ["x"], [`${name}_y`]), "float32", null);
      return graph;
    };
    const graph = new GraphBuilder("if");
    const dims = ["N", 3, height, width];
    const x = graph.input("x", "float32", dims);
    const yes = graph.initializer("yes", "bool", [], Uint8Array.of(1));
    const then = { graph: branch("then", "Neg") };
    graph.output(
      graph.node("If", [yes], ["y"], { then_branch: then, else_branch: { graph: branch("else", "Abs") } }),
      "float32",
      dims,
    );
    graph.output(graph.node("Identity", [x], ["seen"]), "float32", dims);
    const on = await open({ ...image, model: graph.toBytes() });
    const data = pixels(2);
    const got = await ask(on, Tensor.from(data, { shape: [2, height, width, 3] }));
    expect(
      difference(
        got.y.data,
        byHand(data, 2).map((value) => -value),
      ),
    ).toBeLessThan(1e-5);
  });
});

describe("what does not fit is refused", () => {
  it.each([
    ["mean", { mean: "1,2" }, convModel({}), /one value for each channel of .*input "x" is float32 \[N, 3/],
    ["std", { std: 1 }, convModel({}), /one value for each channel/],
    ["input_layout", { input_layout: "NHWC" }, convModel({ dims: ["N", "C", 5, 7] }), /1, 3 or 4 channels/],
  ] as const)("%s: %j", async (field, keys, model, text) => {
    const error = await rejection(pipe({ ...plain, ...keys, model }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ field });
    expect(error.message).toMatch(text);
  });

  it("an input that is no image, or of integers", async () => {
    const flat = new GraphBuilder("flat");
    flat.output(flat.node("Relu", [flat.input("x", "float32", ["N", 3])], ["y"]), "float32", ["N", 3]);
    expect(await rejection(pipe({ ...plain, model: flat.toBytes(), mean: 1 }))).toMatchObject({
      field: "mean",
      expected: "a model whose input is an image of 3 or 4 dimensions, such as Nx3xHxW",
    });
    const whole = new GraphBuilder("whole");
    whole.output(whole.node("Abs", [whole.input("x", "int32", ["N", 3, 2, 2])], ["y"]), "int32", [
      "N",
      3,
      2,
      2,
    ]);
    expect(await rejection(pipe({ ...plain, model: whole.toBytes(), input_dtype: "uint8" }))).toMatchObject({
      field: "input_dtype",
      expected: "a model whose input is of floats",
    });
  });
});
