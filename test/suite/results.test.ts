/** Answers equal those of onnxruntime-node, whatever a model's inputs, outputs and batch dimension. */

import { afterAll, describe, expect, it } from "vitest";
import { Tensor } from "trtpipe";
import type { Dtype, Pipe, PipeConfig, PipeInput } from "trtpipe";
import {
  carriedDtypes,
  fixedBatchModel,
  gatherModel,
  identityModel,
  noBatchModel,
  nonZeroModel,
  openShapeModel,
  scalarModel,
  sumAndProductModel,
} from "../models.ts";
import type { ModelBytes } from "../models.ts";
import { eightfoldModel, perceptronModel } from "../support/models.ts";
import { opener, within } from "../support/pipes.ts";
import { loadNative } from "../../src/native/load.ts";
import { reference } from "../support/reference.ts";
import type { Feeds } from "../support/reference.ts";
import { counting, noise } from "../support/tensors.ts";

const open = opener(afterAll);

interface Case {
  model: ModelBytes;
  config: PipeConfig;
  requests: Feeds[];
  /** How far an answer may be off: exact unless something is said. */
  tolerance?: number;
}

const cases: Record<string, Case> = {
  "a perceptron, 1 to 11 rows": {
    model: perceptronModel(),
    config: { max: 4 },
    requests: [1, 2, 4, 5, 11].map((rows) => ({ x: noise([rows, 8], rows) })),
    tolerance: 1e-5,
  },
  "two inputs, two outputs": {
    model: sumAndProductModel(),
    config: { max: 4 },
    requests: [1, 3, 9].map((rows) => ({ a: noise([rows, 4], rows), b: noise([rows, 4], rows + 50) })),
  },
  "open item dimensions": {
    model: openShapeModel(),
    config: { max: "4x16x16" },
    requests: [
      [1, 16, 16],
      [3, 5, 7],
      [6, 5, 7],
      [2, 1, 1],
      [1, 16, 1],
    ].map((shape, i) => ({ x: noise(shape, i) })),
  },
  "a fixed batch of 1": {
    model: fixedBatchModel(1),
    config: {},
    requests: [1, 3].map((rows) => ({ x: noise([rows, 4], rows) })),
  },
  "no batch dimension": {
    model: noBatchModel(),
    config: {},
    requests: [{ a: noise([3, 4], 1), b: noise([4, 5], 2) }],
    tolerance: 1e-6,
  },
  "a scalar": { model: scalarModel(), config: {}, requests: [{ x: Tensor.from([21], { shape: [] }) }] },
  "integer input": {
    model: gatherModel(),
    config: { max: 4 },
    requests: [{ index: Tensor.from([3n, 0n, 9n, -1n, 5n]) }],
  },
  "an output that depends on the data": {
    model: nonZeroModel(),
    config: { max: "8x4" },
    requests: [
      [0, 1, 0, 2, 0, 0, 3, 0],
      [0, 0, 0, 0],
      [1, 2, 3, 4],
    ].map((values) => ({
      x: Tensor.from(values, { shape: [values.length / 4, 4] }),
    })),
  },
};

/** Sends all requests at once and gives their results in order, each by the outputs' names. */
async function answers(models: Pipe, requests: readonly Feeds[]): Promise<Record<string, Tensor>[]> {
  const inputs = requests.map((feeds): PipeInput => {
    const names = Object.keys(feeds);
    return { data: names.length === 1 ? feeds[names[0]] : feeds };
  });
  const [first] = models.describe().outputs;
  const answered = await within(models(inputs), "the requests");
  return answered.map(({ result }) =>
    result instanceof Tensor ? { [first.name]: result } : (result as Record<string, Tensor>),
  );
}

/** The largest distance between two tensors' values; NaN if they are not of one kind. */
function distance(a: Tensor, b: Tensor): number {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join() || a.size !== b.size) return NaN;
  const [left, right] = [a.data as Float32Array, b.data as Float32Array];
  let largest = 0;
  for (let i = 0; i < left.length; i++) {
    if (left[i] !== right[i]) largest = Math.max(largest, Math.abs(Number(left[i]) - Number(right[i])));
  }
  return largest;
}

/** The rows of a fixed batch go one by one: onnxruntime-node takes exactly as many as the model says. */
async function expected({ model }: Case, feeds: Feeds, split: boolean): Promise<Record<string, Tensor>> {
  if (!split) return reference(model, feeds);
  const rows = await Promise.all(feeds.x.split().map((x) => reference(model, { x })));
  return { y: Tensor.concat(rows.map(({ y }) => y)) };
}

describe("ONNX Runtime", () => {
  it.each(Object.entries(cases))("answers as onnxruntime-node: %s", async (_, one) => {
    const models = await open({ backend: "OnnxTensor", model: one.model, ...one.config });
    const results = await answers(models, one.requests);
    const split = models.describe().batch === "fixed";
    for (const [i, feeds] of one.requests.entries()) {
      const wanted = await expected(one, feeds, split);
      expect(Object.keys(results[i])).toEqual(Object.keys(wanted));
      for (const [name, tensor] of Object.entries(wanted)) {
        expect(results[i][name].shape).toEqual(tensor.shape);
        expect(distance(results[i][name], tensor)).toBeLessThanOrEqual(one.tolerance ?? 0);
      }
    }
  });

  it("pads a fixed batch of 4 to its size, and cuts the answers again", async () => {
    const models = await open({ backend: "OnnxTensor", model: fixedBatchModel(4) });
    expect(models.describe()).toMatchObject({ batch: "fixed", max: 4 });
    const inputs = [1, 2, 3, 4, 7].map((rows) => ({ data: counting([rows, 4], "float32", rows * 100) }));
    for (const { data, result } of await within(models(inputs), "the requests")) {
      expect(result).toMatchObject({
        shape: data.shape,
        data: (data.data as Float32Array).map((x) => x * 2),
      });
    }
  });
});

/** onnxruntime-node takes no bfloat16, and float16 only where the runtime has no Float16Array of its own. */
function comparable(dtype: Dtype): boolean {
  return dtype !== "bfloat16" && !(dtype === "float16" && "Float16Array" in globalThis);
}

describe("every element type", () => {
  it.each(carriedDtypes)("goes in and comes out as it was: %s", async (dtype) => {
    const model = identityModel(dtype);
    const models = await open({ backend: "OnnxTensor", model, max: 4, warm_up: 0 });
    const x = counting([6, 4], dtype, 3);
    const { result } = await within(models({ data: x }), "the request");
    expect(result).toEqual(x);
    expect(comparable(dtype) ? (await reference(model, { x })).y : x).toEqual(x);
  });

  it("is exact at the ends of its range", async () => {
    const models = await open({ backend: "OnnxTensor", model: identityModel("int64"), max: 4 });
    const data = BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 0n, -1n);
    const { result } = await within(models({ data }), "the request");
    expect((result as Tensor).data).toEqual(data);
  });

  it("keeps NaN, infinities, denormals and -0 bit by bit", async () => {
    const models = await open({ backend: "OnnxTensor", model: identityModel("float32", [6]), max: 4 });
    const data = Float32Array.of(NaN, Infinity, -Infinity, 1e-45, -0, 0);
    new Uint32Array(data.buffer)[0] = 0x7fc0_1234;
    const { result } = await within(models({ data }), "the request");
    const bits = (view: Float32Array): number[] => [
      ...new Uint32Array(view.buffer, view.byteOffset, view.length),
    ];
    expect(bits((result as Tensor).data as Float32Array)).toEqual(bits(data));
  });
});

describe("outputs larger than their room in a slot", () => {
  it("come out whole, row by row", async () => {
    const models = await open({
      backend: "OnnxTensor",
      model: eightfoldModel(),
      max: "4x40000",
      max_queue: 16,
    });
    const inputs = [40_000, 12, 20_000, 40_000].map((width, i) => ({
      data: noise([1 + (i % 3), width], width),
    }));
    for (const { data, result } of await within(models(inputs), "the requests")) {
      const [rows, width] = data.shape;
      const out = result as Tensor;
      expect(out.shape).toEqual([rows, width * 8]);
      const differs = (out.data as Float32Array).findIndex((value, i) => {
        const row = Math.floor(i / (width * 8));
        return value !== data.data[row * width + (i % width)];
      });
      expect(differs).toBe(-1);
    }
  });

  it("come out whole from a model without a batch dimension", async () => {
    const model = nonZeroModel();
    const models = await open({ backend: "OnnxTensor", model, max: "40000x4", max_queue: 4 });
    const x = counting([40_000, 4], "float32", 1);
    const { result } = await within(models({ data: x }), "the request");
    expect((result as Tensor).shape).toEqual([2, 160_000]);
    expect(result).toEqual((await reference(model, { x })).y);
  });

  it("are given back to native memory once they were read", async () => {
    const models = await open({
      backend: "OnnxTensor",
      model: eightfoldModel(),
      max: "4x16384",
      max_queue: 8,
    });
    const native = loadNative();
    const handles = native.handleCount();
    const inputs = (): { data: Tensor }[] =>
      [1, 2, 4, 1].map((rows) => ({ data: noise([rows, 16_384], rows) }));
    for (let n = 0; n < 5; n++) await within(models(inputs()), "the requests");
    expect(native.handleCount()).toBe(handles);
  });
});

describe("Identity", () => {
  it.each([
    { backend: "Identity", item: [] },
    { backend: "(shape=4)Identity", item: [4] },
    { backend: "SyncTensor[(shape=3x5x2,dtype=uint8)Identity]", item: [3, 5, 2] },
    { backend: "(shape=2,dtype=int64)Identity", item: [2] },
  ])("gives back what it gets: $backend", async ({ backend, item }) => {
    const models = await open({ backend, max: 4 });
    const [{ dtype, shape }] = models.describe().inputs;
    expect(shape).toEqual([-1, ...item]);
    const inputs = [1, 3, 4, 9].map((rows) => ({ data: counting([rows, ...item], dtype, rows) }));
    for (const { data, result } of await within(models(inputs), "the requests")) expect(result).toEqual(data);
  });

  it("gives an output of another size: the input's first bytes, or zeros behind them", async () => {
    const shorter = await open({ backend: "(shape=4,output_shape=1)Identity", max: 4 });
    const longer = await open({ backend: "(shape=1,output_shape=3)Identity", max: 4 });
    expect((await shorter({ data: Float32Array.of(1, 2, 3, 4) })).result).toMatchObject({ shape: [1, 1] });
    expect((await longer({ data: Float32Array.of(5, 6) })).result).toEqual(
      Tensor.from([
        [5, 0, 0],
        [6, 0, 0],
      ]),
    );
  });
});
