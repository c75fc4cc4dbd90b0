/**
 * A model taken apart so that its graph can be changed: nodes and weights as objects, everything that nobody
 * changes as the bytes that it came in. What is not known here so survives a change.
 */

import { readTensor, readValue } from "./inspect-values.ts";
import type { ExternalTensor, ValueInfo } from "./model-info.ts";
import { BytesSource, MessageReader, WIRE_BYTES, WIRE_VARINT, WireError } from "./wire-reader.ts";

/** Graphs within graphs, as in `inspect`. */
const graphDepthMax = 32;

export interface Model {
  graph: Graph;
  /** Version of ONNX's own operator set; 0 if the model does not say. */
  opset: number;
  /** All other fields of the model, encoded. */
  rest: readonly Uint8Array[];
}

export interface Graph {
  nodes: Node[];
  initializers: Initializer[];
  inputs: Value[];
  outputs: Value[];
  /** What the model says about values in between. */
  values: Value[];
  /** All other fields, encoded. */
  rest: readonly Uint8Array[];
}

export interface Node {
  name: string;
  op: string;
  /** "" is ONNX's own. */
  domain: string;
  /** "" is an input or output that is left out. */
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: readonly Attribute[];
  rest: readonly Uint8Array[];
}

export interface Attribute {
  name: string;
  /** The attribute's fields, encoded, but for its graphs. */
  content: Uint8Array;
  /** Graphs inside the attribute; `field` is 6 for one graph, 11 for one of several. */
  graphs: readonly { field: number; graph: Graph }[];
}

export interface Initializer {
  name: string;
  /** TensorProto.DataType. */
  dtype: number;
  dims: readonly number[];
  /** The whole TensorProto. */
  content: Uint8Array;
  external: ExternalTensor | null;
}

export interface Value {
  info: ValueInfo;
  /** The whole ValueInfoProto. */
  content: Uint8Array;
}

/** Takes a model apart. The parts are views on `bytes`. Throws WireError if it is not a model. */
export function readModel(bytes: Uint8Array): Model {
  const reader = new MessageReader(new BytesSource(bytes));
  const rest: Uint8Array[] = [];
  let graph: Graph | null = null;
  let opset = 0;
  while (reader.next()) {
    if (reader.field === 7 && reader.wire === WIRE_BYTES) {
      // Of several, protobuf joins them; no exporter writes that, and engines differ about it.
      if (graph !== null) throw new WireError(reader.from, "it has two graphs");
      graph = readGraph(reader.message(), 0);
      continue;
    }
    if (reader.field === 8 && reader.wire === WIRE_BYTES) opset ||= readOpset(reader.message());
    rest.push(reader.bytes("field"));
  }
  if (graph === null) throw new WireError(0, "it has no graph");
  return { graph, opset, rest };
}

/** The version of ONNX's own operators, else 0. */
function readOpset(message: MessageReader): number {
  let domain = "";
  let version = 0;
  while (message.next()) {
    if (message.field === 1 && message.wire === WIRE_BYTES) domain = message.text();
    if (message.field === 2 && message.wire === WIRE_VARINT) version = message.value;
  }
  return domain === "" || domain === "ai.onnx" ? version : 0;
}

function readGraph(message: MessageReader, depth: number): Graph {
  if (depth > graphDepthMax) throw new WireError(0, `graphs are nested deeper than ${graphDepthMax}`);
  const rest: Uint8Array[] = [];
  const graph: Graph = { nodes: [], initializers: [], inputs: [], outputs: [], values: [], rest };
  while (message.next()) {
    const { field } = message;
    if (message.wire !== WIRE_BYTES) rest.push(message.bytes("field"));
    else if (field === 1) graph.nodes.push(readNode(message.message(), depth));
    else if (field === 5) graph.initializers.push(readInitializer(message));
    else if (field === 11) graph.inputs.push(valueOf(message));
    else if (field === 12) graph.outputs.push(valueOf(message));
    else if (field === 13) graph.values.push(valueOf(message));
    else rest.push(message.bytes("field"));
  }
  return graph;
}

function readNode(message: MessageReader, depth: number): Node {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: Attribute[] = [];
  const rest: Uint8Array[] = [];
  const node = { name: "", op: "", domain: "" };
  while (message.next()) {
    const { field } = message;
    if (message.wire !== WIRE_BYTES) rest.push(message.bytes("field"));
    else if (field === 1) inputs.push(message.text());
    else if (field === 2) outputs.push(message.text());
    else if (field === 3) node.name = message.text();
    else if (field === 4) node.op = message.text();
    else if (field === 5) attributes.push(readAttribute(message, depth));
    else if (field === 7) node.domain = message.text();
    else rest.push(message.bytes("field"));
  }
  if (node.domain === "ai.onnx") node.domain = "";
  return { ...node, inputs, outputs, attributes, rest };
}

function readAttribute(field: MessageReader, depth: number): Attribute {
  const message = field.message();
  const parts: Uint8Array[] = [];
  const graphs: { field: number; graph: Graph }[] = [];
  let name = "";
  while (message.next()) {
    const isGraph = message.field === 6 || message.field === 11;
    if (message.wire === WIRE_BYTES && isGraph) {
      graphs.push({ field: message.field, graph: readGraph(message.message(), depth + 1) });
      continue;
    }
    if (message.wire === WIRE_BYTES && message.field === 1) name = message.text();
    parts.push(message.bytes("field"));
  }
  return { name, content: graphs.length === 0 ? field.bytes() : joined(parts), graphs };
}

/** Reads a TensorProto that is the field's value. */
export function readInitializer(field: MessageReader): Initializer {
  return { ...readTensor(field.message()), content: field.bytes() };
}

function valueOf(field: MessageReader): Value {
  return { info: readValue(field.message()), content: field.bytes() };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}
