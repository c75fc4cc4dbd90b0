/** Models for the whole-pipe tests, beside those in ../models.ts. */

import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import { Random } from "../../examples/models/random.ts";
import type { ModelBytes } from "../models.ts";

/** x float32 [N, 8] -> y float32 [N, 4]: two layers with seeded weights. */
export function perceptronModel(): ModelBytes {
  const graph = new GraphBuilder("perceptron");
  const random = new Random(7);
  let y = graph.input("x", "float32", ["N", 8]);
  y = layer(graph, random, y, 8, 16, 1);
  y = layer(graph, random, graph.node("Relu", [y], ["relu"]), 16, 4, 2);
  graph.output(y, "float32", ["N", 4]);
  return graph.toBytes();
}

function layer(graph: GraphBuilder, random: Random, x: string, from: number, to: number, n: number): string {
  const weight = graph.initializer(`weight${n}`, "float32", [from, to], random.normals(from * to, 0.5));
  const bias = graph.initializer(`bias${n}`, "float32", [to], random.normals(to, 0.5));
  return graph.node("Add", [graph.node("MatMul", [x, weight], [`product${n}`]), bias], [`layer${n}`]);
}

/** x float32 [N, 4] -> y = 2 x + 1 [N, 4]. Exact for integers up to 2^23. */
export function affineModel(): ModelBytes {
  const graph = new GraphBuilder("affine");
  const x = graph.input("x", "float32", ["N", 4]);
  const two = graph.initializer("two", "float32", [], Float32Array.of(2));
  const one = graph.initializer("one", "float32", [], Float32Array.of(1));
  graph.output(graph.node("Add", [graph.node("Mul", [x, two], ["twice"]), one], ["y"]), "float32", ["N", 4]);
  return graph.toBytes();
}

/** x float32 [N, W] -> y float32 [N, V], x eight times side by side: nobody knows the size beforehand. */
export function eightfoldModel(): ModelBytes {
  const graph = new GraphBuilder("eightfold");
  const x = graph.input("x", "float32", ["N", "W"]);
  const y = graph.node(
    "Concat",
    Array.from({ length: 8 }, () => x),
    ["y"],
    { axis: 1 },
  );
  graph.output(y, "float32", ["N", "V"]);
  return graph.toBytes();
}
