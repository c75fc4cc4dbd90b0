/** The stand-ins for CUDA and TensorRT that the C library's tests are run with: csrc/test/fake/. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import type { ModelBytes } from "../models.ts";
import { root } from "../tidy/sources.ts";

const fakes = join(root, "build", "fault", "fake");

/** The three families; a process can open one. */
export const libraries: Readonly<Record<"tensorrt10" | "tensorrt11" | "rtx", string>> = {
  tensorrt10: join(fakes, "trt10", "libnvinfer.so.10"),
  tensorrt11: join(fakes, "trt11", "libnvinfer.so.11"),
  rtx: join(fakes, "rtx", "libtensorrt_rtx.so.1"),
};

/** Path of the fake CUDA, which has two devices. */
export function fakeCuda(): string {
  const path = join(fakes, "libcuda.so.1");
  if (!existsSync(path)) {
    throw new Error(`There is no ${path}; to build it: cmake --preset fault && cmake --build --preset fault`);
  }
  return path;
}

/** Lets this test file's pipes find it. Call it before the first pipe. */
export function useFakeCuda(): void {
  process.env.TRTPIPE_CUDA = fakeCuda();
}

/** x float32 [N, 4] -> y = -x [N, 4]: one of the few things that the fake TensorRT can compute. */
export function negationModel(columns = 4): ModelBytes {
  const graph = new GraphBuilder("negation");
  const x = graph.input("x", "float32", ["N", columns]);
  graph.output(graph.node("Neg", [x], ["y"]), "float32", ["N", columns]);
  return graph.toBytes();
}

/** x float32 [N, 4] -> y of one node that the fake TensorRT can compute. */
export function unaryModel(op: "Neg" | "Abs"): ModelBytes {
  const graph = new GraphBuilder(op);
  const x = graph.input("x", "float32", ["N", 4]);
  graph.output(graph.node(op, [x], ["y"]), "float32", ["N", 4]);
  return graph.toBytes();
}

/** x float32 [N, 2] -> y [N, n]: each row of y is x's first number, as often as that number says. */
export function lateModel(): ModelBytes {
  const graph = new GraphBuilder("late");
  const x = graph.input("x", "float32", ["N", 2]);
  graph.output(graph.node("NonZero", [x], ["y"]), "float32", ["N", "n"]);
  return graph.toBytes();
}
