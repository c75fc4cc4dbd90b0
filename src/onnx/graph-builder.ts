/** Builds ONNX models: small graphs, in code, written as the bytes of an .onnx file. */

import type { OnnxDtype } from "./dtypes.ts";
import { attributeProto, opsetImport, tensorProto, valueInfo } from "./graph-protos.ts";
import type { AttributeValue, TensorValue } from "./graph-protos.ts";
import { MessageWriter } from "./wire-writer.ts";

export interface GraphOptions {
  /** Version of ONNX's own operator set. Default 17. */
  opset?: number;
  /** Version of the file format. Default 8, which goes with opset 17. */
  irVersion?: number;
  /** Name and version of what wrote the file. Default "trtpipe", "". */
  producer?: string;
  producerVersion?: string;
}

/**
 * One graph. Every method that adds a value returns its name, so calls can be nested. The same calls give the
 * same bytes in every runtime. Names are checked when they are added; whether the graph makes sense is the
 * engine's affair. Throws TypeError for a name that is taken or empty, and for data that does not fit its
 * dtype and dims.
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #options: Required<GraphOptions>;
  readonly #domains = new Set<string>();
  readonly #values = new Set<string>();
  readonly #nodes: MessageWriter[] = [];
  readonly #initializers: MessageWriter[] = [];
  readonly #inputs: MessageWriter[] = [];
  readonly #outputs: MessageWriter[] = [];

  constructor(name: string, options: GraphOptions = {}) {
    this.#name = name;
    this.#options = { opset: 17, irVersion: 8, producer: "trtpipe", producerVersion: "", ...options };
  }

  /** Adds a graph input. A string in `dims` names an open dimension, -1 is one without a name. */
  input(name: string, dtype: OnnxDtype, dims: readonly (number | string)[]): string {
    this.#inputs.push(valueInfo(this.#define(name), dtype, dims));
    return name;
  }

  /** Marks a value of the graph as output; `dims` null leaves the shape, rank included, to the engine. */
  output(name: string, dtype: OnnxDtype, dims: readonly (number | string)[] | null): string {
    this.#outputs.push(valueInfo(name, dtype, dims));
    return name;
  }

  /** Adds a constant of the graph, such as a layer's weights. */
  initializer(name: string, dtype: OnnxDtype, dims: readonly number[], data: TensorValue["data"]): string {
    this.#initializers.push(tensorProto(this.#define(name), { dtype, dims, data }));
    return name;
  }

  /**
   * Adds a node, named after its first output, which it returns. An operator of another domain is
   * "domain::Op".
   */
  node(
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    const [type = "", domain = ""] = op.split("::").toReversed();
    const node = new MessageWriter();
    for (const input of inputs) node.text(1, input);
    for (const output of outputs) node.text(2, output === "" ? "" : this.#define(output));
    const name = outputs[0] ?? "";
    node.text(3, name);
    node.text(4, type);
    for (const [key, value] of Object.entries(attributes)) node.message(5, attributeProto(key, value));
    if (domain) node.text(7, domain);
    this.#domains.add(domain);
    this.#nodes.push(node);
    return name;
  }

  /** The graph alone, as the attribute of a node. Ends the builder: it must not be used after. */
  toGraph(): MessageWriter {
    const graph = new MessageWriter();
    for (const node of this.#nodes) graph.message(1, node);
    graph.text(2, this.#name);
    for (const initializer of this.#initializers) graph.message(5, initializer);
    for (const input of this.#inputs) graph.message(11, input);
    for (const output of this.#outputs) graph.message(12, output);
    return graph;
  }

  /** The model. Ends the builder: it must not be used after. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const model = new MessageWriter();
    const { irVersion, producer, producerVersion, opset } = this.#options;
    model.integer(1, irVersion);
    model.text(2, producer);
    if (producerVersion) model.text(3, producerVersion);
    model.message(7, this.toGraph());
    model.message(8, opsetImport("", opset));
    for (const domain of this.#domains) if (domain) model.message(8, opsetImport(domain, 1));
    return model.toBytes();
  }

  #define(name: string): string {
    if (name === "") throw new TypeError("Cannot add a value without a name");
    if (this.#values.has(name)) throw new TypeError(`Cannot add ${JSON.stringify(name)}: the name is taken`);
    this.#values.add(name);
    return name;
  }
}
