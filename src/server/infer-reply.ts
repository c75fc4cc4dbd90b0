/** The answer to an inference request, in the protocol's HTTP form. */

import { Tensor } from "../index.ts";
import { dtypes } from "../internal.ts";
import { datatypeOf } from "./datatypes.ts";
import type { HttpReply } from "./http-reply.ts";
import type { InferRequest } from "./infer-request.ts";
export type NamedTensor = readonly [name: string, tensor: Tensor];

/** Answers up to this size are made one piece, which is written faster than several. */
const JOIN_BYTES_MAX = 16 * 1024;

/** The JSON of an answer whose numbers are all behind it, and what it was made of. */
interface Known {
  json: Buffer;
  jsonBytes: string;
  outputs: InferRequest["outputs"];
  binaryOutputs: boolean;
  shapes: readonly (readonly number[])[];
}

/** Writes one model's answers. */
export class ReplyWriter {
  /** How every answer in JSON begins. */
  readonly #head: string;
  /** The last answer's, where it can be told that another is the same: shapes are frozen. */
  #last: Known | null = null;

  constructor({ name, version }: { name: string; version: string }) {
    this.#head = `{"model_name":${JSON.stringify(name)},"model_version":${JSON.stringify(version)},`;
  }

  /** JSON alone, or JSON and behind it the bytes of the outputs that were asked for as binary data. */
  write(request: InferRequest, tensors: readonly NamedTensor[]): HttpReply {
    const last = this.#last;
    if (last !== null && isAlike(last, request, tensors)) return binaryReply(last, tensors);
    const binary: NamedTensor[] = [];
    let text = "";
    for (const named of tensors) {
      const [name, tensor] = named;
      const wanted = request.outputs?.find((one) => one.name === name);
      text += `${text === "" ? "" : ","}${headOf(name, tensor)}`;
      if (wanted?.binary ?? request.binaryOutputs) {
        binary.push(named);
        text += `"parameters":{"binary_data_size":${tensor.data.byteLength}}}`;
      } else text += `"data":${jsonData(tensor)}}`;
    }
    const id = request.id === undefined ? "" : `"id":${JSON.stringify(request.id)},`;
    const json = Buffer.from(`${this.#head}${id}"outputs":[${text}]}`);
    if (binary.length === 0)
      return { status: 200, headers: { "content-type": "application/json" }, body: [json] };
    const { outputs, binaryOutputs } = request;
    const shapes = tensors.map(([, { shape }]) => shape);
    const known = { json, jsonBytes: String(json.length), outputs, binaryOutputs, shapes };
    if (id === "" && binary.length === tensors.length) this.#last = known;
    return binaryReply(known, binary);
  }
}

/** Whether an answer has this very JSON. Another list of outputs, or another shape, counts as different. */
function isAlike(
  { outputs, binaryOutputs, shapes }: Known,
  request: InferRequest,
  tensors: readonly NamedTensor[],
): boolean {
  if (request.id !== undefined || request.outputs !== outputs || request.binaryOutputs !== binaryOutputs)
    return false;
  for (let i = 0; i < tensors.length; i++) if (tensors[i][1].shape !== shapes[i]) return false;
  return tensors.length === shapes.length;
}

function binaryReply({ json, jsonBytes }: Known, tensors: readonly NamedTensor[]): HttpReply {
  const headers = {
    "content-type": "application/octet-stream",
    "inference-header-content-length": jsonBytes,
  };
  let bytes = json.length;
  for (const [, { data }] of tensors) bytes += data.byteLength;
  if (bytes > JOIN_BYTES_MAX)
    return { status: 200, headers, body: [json, ...tensors.map(([, tensor]) => bytesOf(tensor))] };
  const body = Buffer.allocUnsafe(bytes);
  body.set(json);
  let at = json.length;
  for (const [, tensor] of tensors) at += copyBytes(tensor, body, at);
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
