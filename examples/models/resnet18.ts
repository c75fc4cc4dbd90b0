/**
 * ResNet18 as an ONNX model: torchvision's topology with batch norm folded into the convolutions, and seeded
 * weights. It computes what a trained ResNet18 computes, at the same cost, but recognises nothing.
 */

import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import { producer, producerVersion } from "./producer.ts";
import { Random } from "./random.ts";

export interface Resnet18Options {
  /** Channels of the first stage; each of the three others doubles them. */
  width: number;
  /** Height and width of the image. */
  size: number;
  classes: number;
  /** Called with the share of weights that is done, 0..1. */
  onProgress?: ((share: number) => void) | undefined;
}

/** Bytes of the model: "input" float32 [N, 3, size, size] -> "output" float32 [N, classes]. */
export function resnet18({ width, size, classes, onProgress }: Resnet18Options): Uint8Array<ArrayBuffer> {
  const layers = new Layers();
  const { graph } = layers;
  graph.input("input", "float32", ["N", 3, size, size]);

  let x = layers.convRelu("conv1", "input", { from: 3, to: width, kernel: 7, stride: 2 });
  x = graph.node("MaxPool", [x], ["maxpool"], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
  let from = width;
  for (let stage = 0; stage < 4; stage++) {
    const to = width << stage;
    x = layers.block(`layer${stage + 1}.0`, x, from, to, stage === 0 ? 1 : 2);
    x = layers.block(`layer${stage + 1}.1`, x, to, to, 1);
    from = to;
    onProgress?.(4 ** (stage - 3));
  }
  x = graph.node("GlobalAveragePool", [x], ["avgpool"]);
  x = graph.node("Flatten", [x], ["flatten"], { axis: 1 });
  const weight = layers.weights("fc.weight", [classes, from], Math.sqrt(1 / from));
  const bias = layers.weights("fc.bias", [classes], 0.01);
  graph.node("Gemm", [x, weight, bias], ["output"], { transB: 1 });
  graph.output("output", "float32", ["N", classes]);
  return graph.toBytes();
}

interface Conv {
  from: number;
  to: number;
  kernel: number;
  stride: number;
  /** Factor on the weights' deviation. */
  gain?: number;
}

class Layers {
  readonly graph: GraphBuilder = new GraphBuilder("resnet18", { producer, producerVersion });
  readonly #random = new Random(18);

  weights(name: string, dims: readonly number[], std: number): string {
    const count = dims.reduce((product, dim) => product * dim, 1);
    return this.graph.initializer(name, "float32", dims, this.#random.normals(count, std));
  }

  conv(name: string, x: string, { from, to, kernel, stride, gain = 1 }: Conv): string {
    // Keeps the spread of the values from layer to layer, halved by the ReLU that follows.
    const std = gain * Math.sqrt(2 / (from * kernel * kernel));
    const weight = this.weights(`${name}.weight`, [to, from, kernel, kernel], std);
    const bias = this.weights(`${name}.bias`, [to], 0.01);
    const pad = kernel >> 1;
    return this.graph.node("Conv", [x, weight, bias], [name], {
      dilations: [1, 1],
      group: 1,
      kernel_shape: [kernel, kernel],
      pads: [pad, pad, pad, pad],
      strides: [stride, stride],
    });
  }

  convRelu(name: string, x: string, conv: Conv): string {
    return this.graph.node("Relu", [this.conv(name, x, conv)], [`${name}.relu`]);
  }

  /** Two 3x3 convolutions beside a shortcut. */
  block(name: string, x: string, from: number, to: number, stride: number): string {
    const y = this.convRelu(`${name}.conv1`, x, { from, to, kernel: 3, stride });
    const z = this.conv(`${name}.conv2`, y, { from: to, to, kernel: 3, stride: 1, gain: 0.5 });
    const direct = stride === 1 && from === to;
    const down = { from, to, kernel: 1, stride, gain: 0.7 };
    const shortcut = direct ? x : this.conv(`${name}.downsample`, x, down);
    const sum = this.graph.node("Add", [z, shortcut], [`${name}.add`]);
    return this.graph.node("Relu", [sum], [`${name}.out`]);
  }
}
