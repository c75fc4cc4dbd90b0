/** Writes the messages that a graph is made of. Field numbers are those of onnx-ml.proto. */

import { onnxDtypes, rawBytes } from "./dtypes.ts";
import type { OnnxDtype } from "./dtypes.ts";
import { MessageWriter } from "./wire-writer.ts";

/**
 * Value of a node's attribute. A bare number or list of numbers is of integers; floats say so, since ONNX
 * tells 1 from 1.0 and JavaScript does not.
 */
export type AttributeValue =
  | number
  | bigint
  | string
  | readonly number[]
  | { float: number }
  | { floats: readonly number[] }
  | { tensor: TensorValue }
  /** A graph within the graph. */
  | { graph: { toGraph(): MessageWriter } };

/**
 * A constant: `data` is `dims` elements of `dtype` in row-major order, little-endian; not copied before
 * `toBytes`.
 */
export interface TensorValue {
  dtype: OnnxDtype;
  dims: readonly number[];
  data: ArrayBufferView | ExternalLocation;
}

/**
 * Data that lies in another file, by its path relative to the model's folder; `offset` and `length` in bytes.
 */
export interface ExternalLocation {
  location: string;
  offset?: number | bigint;
  length?: number | bigint;
}

// AttributeProto.type
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_STRING = 3;
const ATTRIBUTE_TENSOR = 4;
const ATTRIBUTE_GRAPH = 5;
const ATTRIBUTE_FLOATS = 6;
const ATTRIBUTE_INTS = 7;

export function opsetImport(domain: string, version: number): MessageWriter {
  const opset = new MessageWriter();
  opset.text(1, domain);
  opset.integer(2, version);
  return opset;
}

export function valueInfo(
  name: string,
  dtype: OnnxDtype,
  dims: readonly (number | string)[] | null,
): MessageWriter {
  const tensor = new MessageWriter();
  tensor.integer(1, onnxDtypes[dtype].number);
  if (dims) tensor.message(2, shapeProto(dims));
  const type = new MessageWriter();
  type.message(1, tensor);
  const value = new MessageWriter();
  value.text(1, name);
  value.message(2, type);
  return value;
}

function shapeProto(dims: readonly (number | string)[]): MessageWriter {
  const shape = new MessageWriter();
  for (const size of dims) {
    const dim = new MessageWriter();
    if (typeof size === "string") dim.text(2, size);
    else if (size >= 0) dim.integer(1, size);
    shape.message(1, dim);
  }
  return shape;
}

export function tensorProto(name: string, { dtype, dims, data }: TensorValue): MessageWriter {
  const tensor = new MessageWriter();
  for (const dim of dims) tensor.integer(1, dim);
  tensor.integer(2, onnxDtypes[dtype].number);
  if (name) tensor.text(8, name);
  if (ArrayBuffer.isView(data)) {
    const expected = rawBytes(onnxDtypes[dtype].number, dims);
    if (expected !== data.byteLength) {
      const wanted = `${expected ?? "no"} bytes for ${dtype} [${dims.join(", ")}]`;
      throw new TypeError(`Cannot add ${JSON.stringify(name)}: expected ${wanted}, got ${data.byteLength}`);
    }
    tensor.raw(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return tensor;
  }
  for (const [key, value] of Object.entries(data)) {
    const entry = new MessageWriter();
    entry.text(1, key);
    entry.text(2, String(value));
    tensor.message(13, entry);
  }
  tensor.integer(14, 1);
  return tensor;
}

export function attributeProto(name: string, value: AttributeValue): MessageWriter {
  const attribute = new MessageWriter();
  attribute.text(1, name);
  attribute.integer(20, attributeValue(attribute, value));
  return attribute;
}

/** Writes the value and returns the attribute's type. */
function attributeValue(to: MessageWriter, value: AttributeValue): number {
  if (typeof value === "string") {
    to.text(4, value);
    return ATTRIBUTE_STRING;
  }
  if (typeof value !== "object") {
    to.integer(3, value);
    return ATTRIBUTE_INT;
  }
  if ("float" in value) {
    to.float(2, value.float);
    return ATTRIBUTE_FLOAT;
  }
  if ("tensor" in value) {
    to.message(5, tensorProto("", value.tensor));
    return ATTRIBUTE_TENSOR;
  }
  if ("graph" in value) {
    to.message(6, value.graph.toGraph());
    return ATTRIBUTE_GRAPH;
  }
  if ("floats" in value) {
    for (const float of value.floats) to.float(7, float);
    return ATTRIBUTE_FLOATS;
  }
  for (const integer of value) to.integer(8, integer);
  return ATTRIBUTE_INTS;
}
