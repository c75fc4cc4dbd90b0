/** Inference requests and answers in the protocol's gRPC form. */

import { InputError, Tensor } from "../index.ts";
import type { Dtype } from "../index.ts";
import { datatypeOf, dtypeOf } from "./datatypes.ts";
import { RequestError } from "./failure.ts";
import type { Contents, InferMessage, Parameters } from "./grpc-message.ts";
import { bytesOf } from "./infer-reply.ts";
import type { NamedTensor } from "./infer-reply.ts";
import { checkOutput, readName, readParameters, readShape, refuse } from "./infer-request.ts";
import type { InferRequest } from "./infer-request.ts";
import type { Limits } from "./limits.ts";
import type { ServedModel } from "./served-model.ts";

export function readGrpcRequest(message: InferMessage, limits: Limits): InferRequest {
  const { inputs, outputs, raw_input_contents: raw, id } = message;
  if (inputs.length === 0) throw refuse("inputs", "at least one", "none");
  if (inputs.length > limits.tensors) throw refuse("inputs", `at most ${limits.tensors}`, `${inputs.length}`);
  if (outputs.length > limits.tensors) {
    throw refuse("outputs", `at most ${limits.tensors}`, `${outputs.length}`);
  }
  if (raw.length > 0 && raw.length !== inputs.length) {
    throw refuse("raw_input_contents", `as many as inputs, ${inputs.length}`, `${raw.length}`);
  }
  const given = new Set<string>();
  const values = inputs.map((input, i) => {
    const name = readName(input.name, `inputs[${i}]`);
    if (given.has(name)) throw refuse(`inputs[${i}]`, "each input once", `"${name}"`);
    given.add(name);
    const dtype = dtypeOf(input.datatype, name);
    const shape = readShape(input.shape.map(Number), name);
    if (plain(input.parameters).shared_memory_region !== undefined) {
      throw refuse(`input "${name}"`, "its data in the request", "a shared memory region");
    }
    if (raw.length === 0) return { name, value: readContents(name, input.contents, shape, dtype) };
    if (input.contents === null) return { name, value: { data: raw[i], shape, dtype } };
    throw refuse(`input "${name}"`, "contents or raw_input_contents", "both");
  });
  const names = new Set<string>();
  const wanted = outputs.map((output, i) => {
    const name = readName(output.name, `outputs[${i}]`);
    if (names.has(name)) throw refuse(`outputs[${i}]`, "each output once", `"${name}"`);
    names.add(name);
    checkOutput(name, plain(output.parameters));
    return { name, binary: true };
  });
  const wishes = readParameters(plain(message.parameters), limits);
  return { id, inputs: values, outputs: wanted.length === 0 ? null : wanted, ...wishes };
}

const fields: Readonly<Record<Dtype, string | null>> = {
  bool: "bool_contents",
  int8: "int_contents",
  int16: "int_contents",
  int32: "int_contents",
  int64: "int64_contents",
  uint8: "uint_contents",
  uint16: "uint_contents",
  uint32: "uint_contents",
  uint64: "uint64_contents",
  float32: "fp32_contents",
  float64: "fp64_contents",
  float16: null,
  bfloat16: null,
};

function readContents(name: string, contents: Contents | null, shape: number[], dtype: Dtype): Tensor {
  const field = fields[dtype];
  if (field === null) {
    throw refuse(
      `input "${name}"`,
      `raw_input_contents, because ${datatypeOf(dtype)} has no other form`,
      "none",
    );
  }
  const given = Object.entries(contents ?? {}).find(([key, list]) => key !== field && list.length > 0);
  if (given !== undefined) throw refuse(`input "${name}"`, `${field} for ${datatypeOf(dtype)}`, given[0]);
  const list = (contents?.[field] ?? []) as readonly (number | boolean | string)[];
  const values = list.map((value) => (typeof value === "string" ? BigInt(value) : value));
  const count = shape.reduce((product, dim) => product * dim, 1);
  if (count !== values.length) {
    throw refuse(`input "${name}"`, `${count} elements for shape [${shape.join(", ")}]`, `${values.length}`);
  }
  try {
    return Tensor.from(values, { dtype, shape });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(name, error.expected, error.got);
  }
}

/** Parameters as the JSON form has them. */
function plain(parameters: Parameters): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(([key, parameter]) => {
      const { parameter_choice: choice } = parameter;
      if (choice === undefined)
        throw new RequestError(400, `Cannot accept parameters.${key}: it has no value`);
      const value = parameter[choice];
      const integer = choice === "int64_param" || choice === "uint64_param";
      return [key, integer ? Number(value) : value];
    }),
  );
}

/** A ModelInferResponse. */
export function grpcReply(
  { name, version }: ServedModel,
  { id }: InferRequest,
  tensors: readonly NamedTensor[],
): object {
  return {
    model_name: name,
    model_version: version,
    id,
    outputs: tensors.map(([output, { dtype, shape }]) => ({
      name: output,
      datatype: datatypeOf(dtype),
      shape,
    })),
    raw_output_contents: tensors.map(([, tensor]) => {
      const { buffer, byteOffset, byteLength } = bytesOf(tensor);
      return Buffer.from(buffer, byteOffset, byteLength);
    }),
  };
}
