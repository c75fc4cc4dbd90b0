/** The element types of a graph's values, as far as they follow from its nodes. */

import { onnxDtypes } from "./dtypes.ts";
import type { Attribute, Node } from "./graph.ts";
import { isTyped, operatorOf } from "./operators.ts";
import { BytesSource, MessageReader, WIRE_BYTES, WIRE_VARINT } from "./wire-reader.ts";

/** TensorProto.DataType of a value; undefined: it is not known, or not a tensor. */
export type TypeOf = (name: string) => number | undefined;

const { float32, bool, int64 } = onnxDtypes;

const outputTypes = new Map<string, number>([
  ...words("Equal Greater GreaterOrEqual Less LessOrEqual Not And Or Xor IsNaN IsInf", bool.number),
  ...words("Shape Size NonZero ArgMax ArgMin NonMaxSuppression", int64.number),
]);

/** Operators whose outputs have the type of one of their inputs. */
const likeInput = new Map<string, number>([
  ...words("Range TopK Mod Compress ReverseSequence Unique RoiAlign GridSample", 0),
  ...words("CastLike DequantizeLinear", 1),
  ["OneHot", 2],
]);

function words(text: string, value: number): [string, number][] {
  return text.split(" ").map((word) => [word, value]);
}

/** The type that a known operator's typed inputs have in this node: they all have the same. */
export function typeOfNode(node: Node, typeOf: TypeOf): number | undefined {
  const operator = operatorOf(node);
  if (operator === null) return undefined;
  for (const [index, input] of node.inputs.entries()) {
    const type = input !== "" && isTyped(operator, index) ? typeOf(input) : undefined;
    if (type !== undefined) return type;
  }
  return undefined;
}

/** Type of output `index` of a node. */
export function outputType(node: Node, index: number, typeOf: TypeOf): number | undefined {
  if (node.domain !== "") return undefined;
  const operator = operatorOf(node);
  if (operator !== null) return index < operator.outputs ? typeOfNode(node, typeOf) : undefined;
  if (node.op === "Cast") return integer(find(node, "to"));
  if (node.op === "Constant" || node.op === "ConstantOfShape") return constantType(node);
  const like = likeInput.get(node.op);
  if (like !== undefined) return index === 0 ? typeOf(node.inputs[like] ?? "") : undefined;
  return outputTypes.get(node.op);
}

function constantType(node: Node): number | undefined {
  if (node.attributes.some(({ name }) => /^value_floats?$/.test(name))) return float32.number;
  if (node.attributes.some(({ name }) => /^value_ints?$/.test(name))) return int64.number;
  const tensor = tensorOf(find(node, "value"));
  if (tensor === null) return node.op === "ConstantOfShape" ? float32.number : undefined;
  const fields = new MessageReader(new BytesSource(tensor));
  while (fields.next()) if (fields.field === 2 && fields.wire === WIRE_VARINT) return fields.value;
  return undefined;
}

export function find(node: Node, name: string): Attribute | undefined {
  return node.attributes.find((attribute) => attribute.name === name);
}

function integer(attribute: Attribute | undefined): number | undefined {
  if (attribute === undefined) return undefined;
  const fields = new MessageReader(new BytesSource(attribute.content));
  while (fields.next()) if (fields.field === 3 && fields.wire === WIRE_VARINT) return fields.value;
  return undefined;
}

/** The TensorProto in an attribute. */
export function tensorOf(attribute: Attribute | undefined): Uint8Array | null {
  if (attribute === undefined) return null;
  const fields = new MessageReader(new BytesSource(attribute.content));
  while (fields.next()) if (fields.field === 5 && fields.wire === WIRE_BYTES) return fields.bytes();
  return null;
}
