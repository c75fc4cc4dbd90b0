/** The answer to an inference request, in the protocol's HTTP form. */

import { Tensor } from "../index.ts";
import { datatypeOf } from "./datatypes.ts";
import type { HttpReply } from "./http-reply.ts";
import type { InferRequest } from "./infer-request.ts";
import type { ServedModel } from "./served-model.ts";

export type NamedTensor = readonly [name: string, tensor: Tensor];

/** JSON alone, or JSON and behind it the bytes of the outputs that were asked for as binary data. */
export function inferReply(
  { name, version }: ServedModel,
  request: InferRequest,
  tensors: readonly NamedTensor[],
): HttpReply {
  const binary: Uint8Array[] = [];
  const outputs = tensors.map(([output, tensor]) => {
    const wanted = request.outputs?.find((one) => one.name === output);
    const head = JSON.stringify({ name: output, datatype: datatypeOf(tensor.dtype), shape: tensor.shape });
    if (!(wanted?.binary ?? request.binaryOutputs)) return `${head.slice(0, -1)},"data":${jsonData(tensor)}}`;
    const bytes = bytesOf(tensor);
    binary.push(bytes);
    return `${head.slice(0, -1)},"parameters":{"binary_data_size":${bytes.length}}}`;
  });
  const id = request.id === undefined ? {} : { id: request.id };
  const head = JSON.stringify({ model_name: name, model_version: version, ...id });
  const json = Buffer.from(`${head.slice(0, -1)},"outputs":[${outputs.join(",")}]}`);
  if (binary.length === 0) {
    return { status: 200, headers: { "content-type": "application/json" }, body: [json] };
  }
  const headers = {
    "content-type": "application/octet-stream",
    "inference-header-content-length": String(json.length),
  };
  return { status: 200, headers, body: [json, ...binary] };
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
