/** Walks an ONNX model: what it says about itself, read without its weights. */

import { onnxDtypes } from "./dtypes.ts";
import { readTensor, readValue } from "./inspect-values.ts";
import type { ExternalTensor, ModelInfo, ValueInfo } from "./model-info.ts";
import { MessageReader, WIRE_BYTES, WIRE_VARINT, WireError } from "./wire-reader.ts";
import type { ByteSource } from "./wire-reader.ts";

/** Graphs within graphs; protobuf's own readers stop at about the same depth. */
const graphDepthMax = 32;

/** Names that are kept of one model, in all: far above any real model, far below what memory holds. */
const keptMax = 1_000_000;

/** Reads a model's description. Throws WireError if the bytes are not an ONNX model. */
export function inspect(source: ByteSource): ModelInfo {
  return new ModelWalker().walk(source);
}

/**
 * One walk over one model. Field numbers are those of onnx-ml.proto; a field of an unexpected wire type is
 * skipped.
 */
class ModelWalker {
  #irVersion = 0;
  #producer = ["", ""];
  #graph: string | null = null;
  #nodeCount = 0;
  #kept = 0;
  #halfWeights = false;
  readonly #opsets: { domain: string; version: number }[] = [];
  readonly #inputs: ValueInfo[] = [];
  readonly #outputs: ValueInfo[] = [];
  readonly #initializers = new Set<string>();
  readonly #opCounts = new Map<string, number>();
  readonly #external: ExternalTensor[] = [];

  walk(source: ByteSource): ModelInfo {
    const model = new MessageReader(source);
    while (model.next()) {
      if (model.wire === WIRE_VARINT && model.field === 1) this.#irVersion = model.value;
      if (model.wire === WIRE_BYTES) this.#modelField(model);
    }
    if (this.#graph === null) throw new WireError(0, "it has no graph");
    if (this.#irVersion < 1) throw new WireError(0, "it has no format version (ir_version)");
    return {
      irVersion: this.#irVersion,
      opsets: this.#opsets,
      producer: this.#producer.join(" ").trim(),
      graph: this.#graph,
      inputs: this.#inputs.filter(({ name }) => !this.#initializers.has(name)),
      outputs: this.#outputs,
      initializerCount: this.#initializers.size,
      nodeCount: this.#nodeCount,
      halfWeights: this.#halfWeights,
      opTypes: Array.from(this.#opCounts.keys()).toSorted(),
      opCounts: Object.fromEntries(Array.from(this.#opCounts).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      externalData: this.#external,
    };
  }

  #modelField(model: MessageReader): void {
    if (model.field === 2) this.#producer[0] = model.text();
    else if (model.field === 3) this.#producer[1] = model.text();
    else if (model.field === 7) this.#topGraph(model.message());
    else if (model.field === 8) this.#opset(model.message());
    else if (model.field === 20) this.#trainingInfo(model.message());
    else if (model.field === 25) this.#function(model.message());
  }

  #opset(message: MessageReader): void {
    const opset = { domain: "", version: 0 };
    while (message.next()) {
      if (message.field === 1 && message.wire === WIRE_BYTES) opset.domain = message.text();
      if (message.field === 2 && message.wire === WIRE_VARINT) opset.version = message.value;
    }
    this.#keep();
    this.#opsets.push(opset);
  }

  #trainingInfo(message: MessageReader): void {
    while (message.next()) {
      if (message.wire === WIRE_BYTES && message.field <= 2) this.#subgraph(message.message(), 1);
    }
  }

  #function(message: MessageReader): void {
    while (message.next()) {
      if (message.wire === WIRE_BYTES && message.field === 7) this.#node(message.message(), 1);
    }
  }

  #topGraph(graph: MessageReader): void {
    this.#graph ??= "";
    while (graph.next()) {
      if (graph.wire !== WIRE_BYTES) continue;
      if (graph.field === 2) this.#graph = graph.text();
      else if (graph.field === 11) this.#value(graph.message(), this.#inputs);
      else if (graph.field === 12) this.#value(graph.message(), this.#outputs);
      else if (graph.field === 5) this.#initializer(this.#tensor(graph.message()));
      else if (graph.field === 15) this.#initializer(this.#sparseTensor(graph.message()));
      else if (graph.field === 1) {
        this.#nodeCount++;
        this.#node(graph.message(), 1);
      }
    }
  }

  /** A graph inside a node: it counts only for its operators and its external data. */
  #subgraph(graph: MessageReader, depth: number): void {
    if (depth > graphDepthMax) throw new WireError(0, `graphs are nested deeper than ${graphDepthMax}`);
    while (graph.next()) {
      if (graph.wire !== WIRE_BYTES) continue;
      if (graph.field === 1) this.#node(graph.message(), depth + 1);
      else if (graph.field === 5) this.#tensor(graph.message());
      else if (graph.field === 15) this.#sparseTensor(graph.message());
    }
  }

  #node(node: MessageReader, depth: number): void {
    let type = "";
    let domain = "";
    while (node.next()) {
      if (node.wire !== WIRE_BYTES) continue;
      if (node.field === 4) type = node.text();
      else if (node.field === 7) domain = node.text();
      else if (node.field === 5) this.#attribute(node.message(), depth);
    }
    const name = domain === "" || domain === "ai.onnx" ? type : `${domain}::${type}`;
    const count = this.#opCounts.get(name) ?? 0;
    if (count === 0) this.#keep();
    this.#opCounts.set(name, count + 1);
  }

  #attribute(attribute: MessageReader, depth: number): void {
    while (attribute.next()) {
      if (attribute.wire !== WIRE_BYTES) continue;
      const { field } = attribute;
      if (field === 5 || field === 10) this.#tensor(attribute.message());
      else if (field === 6 || field === 11) this.#subgraph(attribute.message(), depth);
      else if (field === 22 || field === 23) this.#sparseTensor(attribute.message());
    }
  }

  #value(message: MessageReader, to: ValueInfo[]): void {
    this.#keep();
    to.push(readValue(message));
  }

  #initializer(name: string): void {
    this.#keep();
    this.#initializers.add(name);
  }

  /** Returns the name of the values; an external part is noted for each of the two tensors. */
  #sparseTensor(sparse: MessageReader): string {
    let name = "";
    while (sparse.next()) {
      if (sparse.wire !== WIRE_BYTES) continue;
      if (sparse.field === 1) name = this.#tensor(sparse.message());
      else if (sparse.field === 2) this.#tensor(sparse.message());
    }
    return name;
  }

  /** Returns the tensor's name, and notes external data. */
  #tensor(message: MessageReader): string {
    const { name, dtype, external } = readTensor(message);
    this.#halfWeights ||= dtype === onnxDtypes.float16.number || dtype === onnxDtypes.bfloat16.number;
    if (external) {
      this.#keep();
      this.#external.push(external);
    }
    return name;
  }

  #keep(): void {
    if (++this.#kept > keptMax) throw new WireError(0, `it has more than ${keptMax} names`);
  }
}
