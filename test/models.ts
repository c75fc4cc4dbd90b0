/** Small models for the tests, each as the bytes of an .onnx file. */

import { ModelLoadError } from "../src/errors.ts";
import type { OnnxDtype } from "../src/onnx/dtypes.ts";
import { GraphBuilder } from "../src/onnx/graph-builder.ts";
import type { ExternalLocation } from "../src/onnx/graph-protos.ts";
import { Random } from "../examples/models/random.ts";

export type ModelBytes = Uint8Array<ArrayBuffer>;

/** The element types that a pipe carries. */
export const carriedDtypes = [
  "float32",
  "float64",
  "float16",
  "bfloat16",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "bool",
] as const;

/** x [N, ...item] -> y [N, ...item], unchanged. */
export function identityModel(dtype: OnnxDtype, item: readonly (number | string)[] = [4]): ModelBytes {
  const graph = new GraphBuilder(`identity-${dtype}`);
  const x = graph.input("x", dtype, ["N", ...item]);
  graph.output(graph.node("Identity", [x], ["y"]), dtype, ["N", ...item]);
  return graph.toBytes();
}

/** a, b float32 [N, 4] -> sum = a + b, product = a * b, both [N, 4]. */
export function sumAndProductModel(): ModelBytes {
  const graph = new GraphBuilder("sum-and-product");
  const a = graph.input("a", "float32", ["N", 4]);
  const b = graph.input("b", "float32", ["N", 4]);
  graph.output(graph.node("Add", [a, b], ["sum"]), "float32", ["N", 4]);
  graph.output(graph.node("Mul", [a, b], ["product"]), "float32", ["N", 4]);
  return graph.toBytes();
}

/** x float32 [N, H, W] -> y = relu(x) of the same shape: the item's shape is open too. */
export function openShapeModel(): ModelBytes {
  const graph = new GraphBuilder("open-shape");
  const x = graph.input("x", "float32", ["N", "H", "W"]);
  graph.output(graph.node("Relu", [x], ["y"]), "float32", ["N", "H", "W"]);
  return graph.toBytes();
}

/** x float32 [rows, 4] -> y = 2 x: the batch is fixed to `rows`. */
export function fixedBatchModel(rows: number): ModelBytes {
  const graph = new GraphBuilder(`fixed-${rows}`);
  const x = graph.input("x", "float32", [rows, 4]);
  const two = graph.initializer("two", "float32", [], new Float32Array([2]));
  graph.output(graph.node("Mul", [x, two], ["y"]), "float32", [rows, 4]);
  return graph.toBytes();
}

/** a float32 [3, 4], b float32 [4, 5] -> y = a b [3, 5]: no dimension that a batch could go along. */
export function noBatchModel(): ModelBytes {
  const graph = new GraphBuilder("no-batch");
  const a = graph.input("a", "float32", [3, 4]);
  const b = graph.input("b", "float32", [4, 5]);
  graph.output(graph.node("MatMul", [a, b], ["y"]), "float32", [3, 5]);
  return graph.toBytes();
}

/** x float32 [] -> y = 2 x []: a scalar, which has no batch dimension. */
export function scalarModel(): ModelBytes {
  const graph = new GraphBuilder("scalar");
  const x = graph.input("x", "float32", []);
  const two = graph.initializer("two", "float32", [], new Float32Array([2]));
  graph.output(graph.node("Mul", [x, two], ["y"]), "float32", []);
  return graph.toBytes();
}

/** x float32 [N, 4] -> y int64 [2, K], the places of the values that are not 0: K depends on the data. */
export function nonZeroModel(): ModelBytes {
  const graph = new GraphBuilder("non-zero");
  const x = graph.input("x", "float32", ["N", 4]);
  graph.output(graph.node("NonZero", [x], ["y"]), "int64", [2, "K"]);
  return graph.toBytes();
}

/** x float32 [N, 4] -> y float32 [4], the mean over the batch: an output that cannot be split into rows. */
export function batchMeanModel(): ModelBytes {
  const graph = new GraphBuilder("batch-mean");
  const x = graph.input("x", "float32", ["N", 4]);
  graph.output(graph.node("ReduceMean", [x], ["y"], { axes: [0], keepdims: 0 }), "float32", [4]);
  return graph.toBytes();
}

/** index int64 [N] -> y float32 [N, 2] = [index, -index]. An index outside -10..9 fails the whole batch. */
export function gatherModel(): ModelBytes {
  const graph = new GraphBuilder("gather");
  const index = graph.input("index", "int64", ["N"]);
  const rows = Float32Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? i / 2 : -(i - 1) / 2));
  const table = graph.initializer("table", "float32", [10, 2], rows);
  graph.output(graph.node("Gather", [table, index], ["y"], { axis: 0 }), "float32", ["N", 2]);
  return graph.toBytes();
}

/**
 * x float32 [N, 1] -> y float32 [N, 64] = x times constants, by way of `layers` convolutions of 64 channels
 * over 128x128 pixels.
 */
export function slowModel(layers = 4): ModelBytes {
  const graph = new GraphBuilder("slow");
  const random = new Random(layers);
  const x = graph.input("x", "float32", ["N", 1]);
  const shape = graph.initializer("shape", "int64", [4], new BigInt64Array([-1n, 1n, 1n, 1n]));
  const size = graph.initializer("size", "int64", [4], new BigInt64Array([1n, 64n, 128n, 128n]));
  let y = graph.node("Expand", [graph.node("Reshape", [x, shape], ["item"]), size], ["layer0"]);
  for (let i = 1; i <= layers; i++) {
    const weight = graph.initializer(`weight${i}`, "float32", [64, 64, 3, 3], random.normals(36_864, 0.04));
    const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
    y = graph.node("Conv", [y, weight], [`layer${i}`], attributes);
  }
  const mean = graph.node("GlobalAveragePool", [y], ["pooled"]);
  graph.output(graph.node("ReduceMean", [mean], ["y"], { axes: [2, 3], keepdims: 0 }), "float32", ["N", 64]);
  return graph.toBytes();
}

/** x float32 [N, 4] -> y = x + w, where the 4 floats of "w" lie in another file. */
export function externalDataModel(data: ExternalLocation): ModelBytes {
  const graph = new GraphBuilder("external");
  const x = graph.input("x", "float32", ["N", 4]);
  const w = graph.initializer("w", "float32", [4], data);
  graph.output(graph.node("Add", [x, w], ["y"]), "float32", ["N", 4]);
  return graph.toBytes();
}

/** The ModelLoadError that `action` throws; anything else fails the test. */
export function modelError(action: () => unknown): ModelLoadError {
  try {
    action();
  } catch (error) {
    if (error instanceof ModelLoadError) return error;
    throw error;
  }
  throw new Error("Nothing was thrown, expected a ModelLoadError");
}
