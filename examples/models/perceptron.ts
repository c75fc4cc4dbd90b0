/** Fully connected networks with seeded weights: a tiny one, and one whose weights fit no cache. */

import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import { producer, producerVersion } from "./producer.ts";
import { Random } from "./random.ts";

/**
 * Bytes of "input" float32 [N, widths[0]] -> "output" float32 [N, last of widths], with ReLU between the
 * layers.
 */
export function perceptron(
  name: string,
  widths: readonly number[],
  onProgress?: (share: number) => void,
): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder(name, { producer, producerVersion });
  const random = new Random(widths[0]!);
  const layers = widths.length - 1;
  let x = graph.input("input", "float32", ["N", widths[0]!]);
  for (let i = 0; i < layers; i++) {
    const [from, to] = [widths[i]!, widths[i + 1]!];
    const weight = graph.initializer(
      `fc${i}.weight`,
      "float32",
      [from, to],
      random.normals(from * to, Math.sqrt(2 / from)),
    );
    const bias = graph.initializer(`fc${i}.bias`, "float32", [to], random.normals(to, 0.01));
    const last = i === layers - 1;
    x = graph.node("Gemm", [x, weight, bias], [last ? "output" : `fc${i}`]);
    if (!last) x = graph.node("Relu", [x], [`fc${i}.relu`]);
    onProgress?.((i + 1) / layers);
  }
  graph.output("output", "float32", ["N", widths[layers]!]);
  return graph.toBytes();
}

/** 64-64-10: a run costs next to nothing, so what is measured is the way to it and back. 19 KB. */
export function mlp(): Uint8Array<ArrayBuffer> {
  return perceptron("mlp", [64, 64, 10]);
}

/**
 * 1024-4096-4096-1000: bound by the reading of its 100 MB of weights, so a batch costs hardly more than a
 * row.
 */
export function wide(onProgress?: (share: number) => void): Uint8Array<ArrayBuffer> {
  return perceptron("wide", [1024, 4096, 4096, 1000], onProgress);
}
