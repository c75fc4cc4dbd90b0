/** Models that tell which one answered, and callers that watch the answers while one follows the other. */

import { Tensor } from "trtpipe";
import type { Pipe } from "trtpipe";
import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import type { ModelBytes } from "../models.ts";
import { within } from "./pipes.ts";

/** x float32 [N, 4] -> y = factor * x [N, 4]; exact for small integers. */
export function factorModel(
  factor: number,
  { input = "x", item = 4 }: { input?: string; item?: number } = {},
): ModelBytes {
  const graph = new GraphBuilder(`times-${factor}`);
  const x = graph.input(input, "float32", ["N", item]);
  const by = graph.initializer("factor", "float32", [], Float32Array.of(factor));
  graph.output(graph.node("Mul", [x, by], ["y"]), "float32", ["N", item]);
  return graph.toBytes();
}

/** The factor of the model that answers now, which takes items of `item` elements. */
export async function factorOf(models: Pipe, item = 4): Promise<number> {
  const { result } = await within(models({ data: new Float32Array(item).fill(1) }), "a call");
  return (result as Tensor<"float32">).data[0];
}

/** Words that watchers share: end, lowest and highest factor that an answer may have. */
export const Bound = { end: 0, lowest: 1, highest: 2, words: 3 } as const;

export function newBounds(factor: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(Bound.words * 4)).fill(factor, Bound.lowest);
}

/** Puts the model with `factor` in place and tells the watchers what they may see. */
export async function reloadFactor(models: Pipe, bounds: Int32Array, factor: number): Promise<void> {
  Atomics.store(bounds, Bound.highest, factor);
  await within(models.reload({ model: factorModel(factor) }), `the reload of factor ${factor}`, 30_000);
  Atomics.store(bounds, Bound.lowest, factor);
}
