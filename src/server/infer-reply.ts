/** The answer to an inference request, in the protocol's HTTP form. */

import { Tensor } from "../index.ts";
import { dtypes } from "../internal.ts";
import { datatypeOf } from "./datatypes.ts";
import type { HttpReply } from "./http-reply.ts";
import type { InferRequest } from "./infer-request.ts";
import type { ServedModel } from "./served-model.ts";

export type NamedTensor = readonly [name: string, tensor: Tensor];

/** Outputs up to this size are copied behind their JSON: one piece is written faster than several. */
const JOIN_BYTES_MAX = 16 * 1024;

/** JSON alone, or JSON and behind it the bytes of the outputs that were asked for as binary data. */
export function inferReply(
  model: ServedModel,
  request: InferRequest,
  tensors: readonly NamedTensor[],
): HttpReply {
  const binary: Tensor[] = [];
  let binaryBytes = 0;
  let outputs = "";
  for (const [name, tensor] of tensors) {
    const wanted = request.outputs?.find((one) => one.name === name);
    outputs += `${outputs === "" ? "" : ","}${headOf(name, tensor)}`;
    if (wanted?.binary ?? request.binaryOutputs) {
      const { byteLength } = tensor.data;
      binary.push(tensor);
      binaryBytes += byteLength;
      outputs += `"parameters":{"binary_data_size":${byteLength}}}`;
    } else outputs += `"data":${jsonData(tensor)}}`;
  }
  const id = request.id === undefined ? "" : `"id":${JSON.stringify(request.id)},`;
  const json = `${model.replyHead}${id}"outputs":[${outputs}]}`;
  if (binary.length === 0) {
    return { status: 200, headers: { "content-type": "application/json" }, body: [Buffer.from(json)] };
  }
  const jsonBytes = Buffer.byteLength(json);
  const headers = {
    "content-type": "application/octet-stream",
    "inference-header-content-length": String(jsonBytes),
  };
  if (binaryBytes > JOIN_BYTES_MAX)
    return { status: 200, headers, body: [Buffer.from(json), ...binary.map(bytesOf)] };
  const body = Buffer.allocUnsafe(jsonBytes + binaryBytes);
  let at = body.write(json);
  for (const tensor of binary) at += copyBytes(tensor, body, at);
  return { status: 200, headers, body: [body] };
}

/**
 * Up to this size a typed array's numbers lie in V8's heap. Asking such an array for its buffer makes one
 * first, which takes longer than copying the numbers.
 */
const HEAP_BYTES_MAX = 64;

/** Room for a small tensor's numbers, and the same as bytes. Nothing is kept in it. */
const small = new Map(
  Object.entries(dtypes).map(([dtype, { carrier: Carrier, bytes }]) => {
    const numbers = new Carrier(HEAP_BYTES_MAX / bytes);
    return [dtype, { numbers, bytes: new Uint8Array(numbers.buffer) }];
  }),
);

/** Copies a tensor's bytes to `at`; how many they are. */
function copyBytes(tensor: Tensor, to: Uint8Array, at: number): number {
  const { data, dtype } = tensor;
  const { byteLength } = data;
  const room = byteLength <= HEAP_BYTES_MAX ? small.get(dtype) : undefined;
  if (room === undefined) {
    to.set(bytesOf(tensor), at);
    return byteLength;
  }
  (room.numbers as Uint8Array).set(data as Uint8Array);
  for (let i = 0; i < byteLength; i++) to[at + i] = room.bytes[i];
  return byteLength;
}

/** The beginning of an output, up to what it holds. */
function headOf(name: string, { dtype, shape }: Tensor): string {
  return `{"name":${JSON.stringify(name)},"datatype":"${datatypeOf(dtype)}","shape":[${shape.join(",")}],`;
}

export function bytesOf({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A flat list. Integers of 64 bits have all their digits; NaN and infinities are strings. */
function jsonData(tensor: Tensor): string {
  const { dtype } = tensor;
  if (dtype === "float16" || dtype === "bfloat16") return jsonData(Tensor.from(tensor, { dtype: "float32" }));
  if (dtype === "bool") return `[${Array.from(tensor.data as Uint8Array, (value) => value !== 0).join(",")}]`;
  if (!dtype.startsWith("float")) return `[${tensor.data.join(",")}]`;
  const values = tensor.data as Float32Array;
  if (values.every((value) => Number.isFinite(value))) return `[${values.join(",")}]`;
  return `[${Array.from(values, (value) => (Number.isFinite(value) ? value : `"${value}"`)).join(",")}]`;
}
