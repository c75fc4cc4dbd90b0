/** Puts a model together again, and makes new parts for it. */

import { onnxDtypes } from "./dtypes.ts";
import type { OnnxDtype } from "./dtypes.ts";
import type { Attribute, Graph, Initializer, Model, Node, Value } from "./graph.ts";
import { attributeProto, tensorProto, valueInfo } from "./graph-protos.ts";
import type { AttributeValue, TensorValue } from "./graph-protos.ts";
import { MessageWriter } from "./wire-writer.ts";

export function writeModel(model: Model): Uint8Array<ArrayBuffer> {
  const to = new MessageWriter();
  for (const field of model.rest) to.copy(field);
  to.message(7, writeGraph(model.graph));
  return to.toBytes();
}

function writeGraph(graph: Graph): MessageWriter {
  const to = new MessageWriter();
  for (const node of graph.nodes) to.message(1, writeNode(node));
  for (const field of graph.rest) to.copy(field);
  for (const { content } of graph.initializers) to.raw(5, content);
  for (const { content } of graph.inputs) to.raw(11, content);
  for (const { content } of graph.outputs) to.raw(12, content);
  for (const { content } of graph.values) to.raw(13, content);
  return to;
}

function writeNode(node: Node): MessageWriter {
  const to = new MessageWriter();
  for (const input of node.inputs) to.text(1, input);
  for (const output of node.outputs) to.text(2, output);
  to.text(3, node.name);
  to.text(4, node.op);
  for (const attribute of node.attributes) to.message(5, writeAttribute(attribute));
  if (node.domain !== "") to.text(7, node.domain);
  for (const field of node.rest) to.copy(field);
  return to;
}

function writeAttribute({ content, graphs }: Attribute): MessageWriter {
  const to = new MessageWriter();
  to.copy(content);
  for (const { field, graph } of graphs) to.message(field, writeGraph(graph));
  return to;
}

/** A node of ONNX's own operators, named after its output, which is a name that nothing had. */
export function makeNode(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, AttributeValue>> = {},
): Node {
  const made = Object.entries(attributes).map(([name, value]): Attribute => ({
    name,
    content: attributeProto(name, value).toBytes(),
    graphs: [],
  }));
  return { name: output, op, domain: "", inputs, outputs: [output], attributes: made, rest: [] };
}

export function makeCast(input: string, output: string, to: OnnxDtype, name: string = output): Node {
  return { ...makeNode("Cast", [input], output, { to: onnxDtypes[to].number }), name };
}

export function makeInitializer(name: string, value: TensorValue): Initializer {
  const content = tensorProto(name, value).toBytes();
  return { name, dtype: onnxDtypes[value.dtype].number, dims: value.dims, content, external: null };
}

export function makeValue(name: string, dtype: OnnxDtype, dims: Value["info"]["dims"]): Value {
  return { info: { name, kind: "tensor", dtype, dims }, content: valueInfo(name, dtype, dims).toBytes() };
}

/** Every name of a value or node that the graph, and the graphs within it, define or use. */
export function namesIn(graph: Graph, to: Set<string> = new Set()): Set<string> {
  for (const { name } of graph.initializers) to.add(name);
  for (const { info } of [...graph.inputs, ...graph.outputs, ...graph.values]) to.add(info.name);
  for (const node of graph.nodes) {
    for (const name of [node.name, ...node.inputs, ...node.outputs]) to.add(name);
    for (const { graphs } of node.attributes) for (const inner of graphs) namesIn(inner.graph, to);
  }
  return to;
}

/** `base`, or the first of `base_2`, `base_3`, ... that is not taken; it is then. */
export function freeName(base: string, taken: Set<string>): string {
  let name = base;
  for (let n = 2; taken.has(name); n++) name = `${base}_${n}`;
  taken.add(name);
  return name;
}
