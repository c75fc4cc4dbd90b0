/** Reads the parts of a model that describe values: types, shapes, and the tensors that hold weights. */

import { dtypeName, rawBytes } from "./dtypes.ts";
import type { ExternalTensor, ValueInfo, ValueKind } from "./model-info.ts";
import { WIRE_BYTES, WIRE_VARINT, WireError } from "./wire-reader.ts";
import type { MessageReader } from "./wire-reader.ts";

/** Reads a ValueInfoProto. */
export function readValue(message: MessageReader): ValueInfo {
  const value: ValueInfo = { name: "", kind: "unknown", dtype: "", dims: null };
  while (message.next()) {
    if (message.wire !== WIRE_BYTES) continue;
    if (message.field === 1) value.name = message.text();
    else if (message.field === 2) readType(message.message(), value);
  }
  return value;
}

const kinds = new Map<number, ValueKind>([
  [1, "tensor"],
  [4, "sequence"],
  [5, "map"],
  [7, "opaque"],
  [8, "sparse tensor"],
  [9, "optional"],
]);

function readType(type: MessageReader, to: ValueInfo): void {
  while (type.next()) {
    const kind = kinds.get(type.field);
    if (type.wire !== WIRE_BYTES || kind === undefined) continue;
    to.kind = kind;
    if (kind === "tensor" || kind === "sparse tensor") readTensorType(type.message(), to);
  }
}

function readTensorType(type: MessageReader, to: ValueInfo): void {
  while (type.next()) {
    if (type.field === 1 && type.wire === WIRE_VARINT) to.dtype = dtypeName(type.value);
    else if (type.field === 2 && type.wire === WIRE_BYTES) to.dims = readShape(type.message());
  }
}

function readShape(shape: MessageReader): (number | string)[] {
  const dims: (number | string)[] = [];
  while (shape.next()) {
    if (shape.field !== 1 || shape.wire !== WIRE_BYTES) continue;
    if (dims.length === 4096) throw new WireError(shape.start, "a shape has more than 4096 dimensions");
    dims.push(readDim(shape.message()));
  }
  return dims;
}

function readDim(dim: MessageReader): number | string {
  let value: number | string = -1;
  while (dim.next()) {
    if (dim.field === 1 && dim.wire === WIRE_VARINT) value = Math.max(dim.value, -1);
    else if (dim.field === 2 && dim.wire === WIRE_BYTES) value = dim.text() || -1;
  }
  return value;
}

/** Reads a TensorProto: name, DataType and shape, and where its bytes lie if that is another file. */
export function readTensor(message: MessageReader): TensorHead {
  const dims: number[] = [];
  const entries = new Map<string, string>();
  let [name, dtype, external] = ["", 0, false];
  while (message.next()) {
    const { field, wire } = message;
    if (field === 1) message.integers(dims);
    else if (field === 2 && wire === WIRE_VARINT) dtype = message.value;
    else if (field === 8 && wire === WIRE_BYTES) name = message.text();
    else if (field === 13 && wire === WIRE_BYTES) addEntry(message.message(), entries);
    else if (field === 14 && wire === WIRE_VARINT) external = message.value === 1;
  }
  if (!external) return { name, dtype, dims, external: null };
  const location = entries.get("location") ?? "";
  const offset = entries.get("offset") ?? "0";
  const length = entries.get("length") ?? null;
  const bytes = rawBytes(dtype, dims);
  return { name, dtype, dims, external: { name, location, offset, length, bytes } };
}

export interface TensorHead {
  name: string;
  /** TensorProto.DataType. */
  dtype: number;
  dims: readonly number[];
  external: ExternalTensor | null;
}

/** A later entry of the same key wins, as in the engines. */
function addEntry(entry: MessageReader, to: Map<string, string>): void {
  let key = "";
  let value = "";
  while (entry.next()) {
    if (entry.wire !== WIRE_BYTES) continue;
    if (entry.field === 1) key = entry.text();
    else if (entry.field === 2) value = entry.text();
  }
  if (["location", "offset", "length"].includes(key)) to.set(key, value);
}
