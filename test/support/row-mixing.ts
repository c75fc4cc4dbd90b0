/** Models whose rows depend on the other rows of their batch, or on nothing that can be known. */

import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import type { ModelBytes } from "../models.ts";

/** x [rows, 4] -> y [rows, 4], whatever `add` makes of it. */
export function model(
  add: (graph: GraphBuilder, x: string) => string,
  rows: number | string = "N",
): ModelBytes {
  const graph = new GraphBuilder("checked");
  const x = graph.input("x", "float32", [rows, 4]);
  graph.output(add(graph, x), "float32", [rows, 4]);
  return graph.toBytes();
}

/** Each row less the mean of all. */
export const centred = (graph: GraphBuilder, x: string): string =>
  graph.node("Sub", [x, graph.node("ReduceMean", [x], ["mean"], { axes: [0] })], ["y"]);

/** Each row and all before it: the first row is right. */
export const running = (graph: GraphBuilder, x: string): string =>
  graph.node("CumSum", [x, graph.initializer("axis", "int64", [], new BigInt64Array([0n]))], ["y"]);

/** Wrong for batches of more than four. */
export function wrongAboveFour(graph: GraphBuilder, x: string): string {
  const zero = graph.initializer("zero", "int64", [], new BigInt64Array([0n]));
  const four = graph.initializer("four", "int64", [], new BigInt64Array([4n]));
  const rows = graph.node("Gather", [graph.node("Shape", [x], ["shape"]), zero], ["rows"]);
  const large = graph.node("Cast", [graph.node("Greater", [rows, four], ["above"])], ["large"], { to: 1 });
  return graph.node("Add", [x, large], ["y"]);
}

export const noisy = (graph: GraphBuilder, x: string): string =>
  graph.node("Add", [x, graph.node("RandomNormalLike", [x], ["noise"])], ["y"]);
