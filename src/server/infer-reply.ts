/** The answer to an inference request, in the protocol's HTTP form. */

import { Tensor } from "../index.ts";
import { datatypeOf } from "./datatypes.ts";
import type { HttpReply } from "./http-reply.ts";
import type { InferRequest } from "./infer-request.ts";
import type { ServedModel } from "./served-model.ts";

export type NamedTensor = readonly [name: string, tensor: Tensor];

/** JSON alone, or JSON and behind it the bytes of the outputs that were asked for as binary data. */
export function inferReply(
  model: ServedModel,
  request: InferRequest,
  tensors: readonly NamedTensor[],
): HttpReply {
  const binary: Uint8Array[] = [];
  let outputs = "";
  for (const [name, tensor] of tensors) {
    const wanted = request.outputs?.find((one) => one.name === name);
    outputs += `${outputs === "" ? "" : ","}${headOf(name, tensor)}`;
    if (wanted?.binary ?? request.binaryOutputs) {
      const bytes = bytesOf(tensor);
      binary.push(bytes);
      outputs += `"parameters":{"binary_data_size":${bytes.length}}}`;
    } else outputs += `"data":${jsonData(tensor)}}`;
  }
  const id = request.id === undefined ? "" : `"id":${JSON.stringify(request.id)},`;
  const json = Buffer.from(`${model.replyHead}${id}"outputs":[${outputs}]}`);
  if (binary.length === 0) {
    return { status: 200, headers: { "content-type": "application/json" }, body: [json] };
  }
  const headers = {
    "content-type": "application/octet-stream",
    "inference-header-content-length": String(json.length),
  };
  return { status: 200, headers, body: [json, ...binary] };
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
