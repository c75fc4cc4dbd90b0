/** An inference request of the protocol, as HTTP or gRPC brought it, in the form in which a pipe takes it. */

import { InputError, Tensor } from "../index.ts";
import type { ChunkedTensor, Dtype, InputValue, Priority } from "../index.ts";
import type { ByteCursor } from "./byte-cursor.ts";
import { dtypeOf } from "./datatypes.ts";
import { RequestError } from "./failure.ts";
import { isObject, shown } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { Limits } from "./limits.ts";

export interface RequestedOutput {
  name: string;
  /** As bytes behind the JSON, or in it. */
  binary: boolean;
}

export interface NamedInput {
  name: string;
  value: InputValue;
}

export interface InferRequest {
  id: string | undefined;
  inputs: readonly NamedInput[];
  /** null: all of them. */
  outputs: readonly RequestedOutput[] | null;
  /** For outputs that the request does not name. */
  binaryOutputs: boolean;
  timeoutMs: number | undefined;
  priority: Priority | undefined;
}

/** Longest timeout that a call takes. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Reads the JSON of an HTTP request; `bytes` is the binary data of inputs behind it. */
export function readDocument(document: unknown, bytes: ByteCursor, limits: Limits): InferRequest {
  if (!isObject(document)) throw refuse("the request", "a JSON object", shown(document));
  const { parameters, inputs, outputs } = document;
  // Clients send null for what they do not have.
  const id = document.id ?? undefined;
  if (id !== undefined && typeof id !== "string") throw refuse("id", "a string", shown(id));
  const wishes = readParameters(parameters, limits);
  const data = readInputs(inputs, bytes, limits);
  if (bytes.left > 0) {
    throw refuse("the body", "as many bytes as the inputs' binary_data_size say", `${bytes.left} bytes more`);
  }
  const binaryOutputs = wishes.binaryOutputs;
  return { id, inputs: data, outputs: readOutputs(outputs, binaryOutputs, limits), ...wishes };
}

/** What a request as a whole may ask for, from its `parameters`. */
export function readParameters(
  parameters: unknown,
  limits: Limits,
): Pick<InferRequest, "timeoutMs" | "priority" | "binaryOutputs"> {
  const given = checkParameters(parameters, "parameters", limits);
  for (const key of ["sequence_id", "sequence_start", "sequence_end"]) {
    // Clients send 0 and false when nothing was asked for.
    if (given[key])
      throw refuse(`parameters.${key}`, "none, because sequences are not supported", shown(given[key]));
  }
  const binary = given.binary_data_output ?? false;
  if (typeof binary !== "boolean")
    throw refuse("parameters.binary_data_output", "true or false", shown(binary));
  return {
    timeoutMs: readTimeout(given.timeout),
    priority: readPriority(given.priority),
    binaryOutputs: binary,
  };
}

function checkParameters(parameters: unknown, path: string, limits: Limits): JsonObject {
  if (parameters === undefined || parameters === null) return {};
  if (!isObject(parameters)) throw refuse(path, "an object", shown(parameters));
  const count = Object.keys(parameters).length;
  if (count > limits.parameters) throw refuse(path, `at most ${limits.parameters} entries`, `${count}`);
  return parameters;
}

/** The protocol's `timeout` is in microseconds; 0 is none. */
function readTimeout(timeout: unknown): number | undefined {
  if (timeout === undefined || timeout === 0) return undefined;
  if (typeof timeout === "number" && timeout > 0 && timeout / 1000 <= TIMEOUT_MS_MAX) return timeout / 1000;
  const expected = `a number of microseconds from 0 to ${TIMEOUT_MS_MAX * 1000}`;
  throw refuse("parameters.timeout", expected, shown(timeout));
}

/** Names as trtpipe has them, or numbers as Triton has them: 0 is the default, and 1 goes first. */
function readPriority(priority: unknown): Priority | undefined {
  if (priority === undefined || priority === 0) return undefined;
  if (priority === "high" || priority === "normal" || priority === "low") return priority;
  if (typeof priority === "number" && Number.isInteger(priority) && priority > 0) {
    return priority === 1 ? "high" : priority === 2 ? "normal" : "low";
  }
  throw refuse("parameters.priority", '"high", "normal", "low", or 1, 2, 3', shown(priority));
}

function readInputs(inputs: unknown, bytes: ByteCursor, limits: Limits): NamedInput[] {
  if (!Array.isArray(inputs) || inputs.length === 0)
    throw refuse("inputs", "a list of inputs", shown(inputs));
  if (inputs.length > limits.tensors) throw refuse("inputs", `at most ${limits.tensors}`, shown(inputs));
  const names = new Set<string>();
  return inputs.map((input: unknown, i) => {
    if (!isObject(input)) throw refuse(`inputs[${i}]`, "an object", shown(input));
    const name = readName(input.name, `inputs[${i}]`);
    if (names.has(name)) throw refuse(`inputs[${i}]`, "each input once", shown(name));
    names.add(name);
    return { name, value: readInput(name, input, bytes, limits) };
  });
}

function readInput(name: string, input: JsonObject, bytes: ByteCursor, limits: Limits): InputValue {
  const dtype = dtypeOf(input.datatype, name);
  const shape = readShape(input.shape, name);
  const given = checkParameters(input.parameters, `input "${name}" parameters`, limits);
  if (given.shared_memory_region !== undefined) {
    throw refuse(`input "${name}"`, "its data in the request", "a shared memory region");
  }
  const size = given.binary_data_size;
  if (size === undefined) return readJsonData(name, input.data, shape, dtype);
  if (input.data !== undefined) throw refuse(`input "${name}"`, "data or binary_data_size", "both");
  if (typeof size !== "number" || !Number.isInteger(size) || size < 0 || size > bytes.left) {
    const expected = `a binary_data_size of at most the bytes that are left, ${bytes.left}`;
    throw refuse(`input "${name}"`, expected, shown(size));
  }
  return { data: bytes.take(size), shape, dtype } satisfies ChunkedTensor;
}

export function readShape(shape: unknown, name: string): number[] {
  const valid =
    Array.isArray(shape) && shape.length <= 64 && shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0);
  if (valid) return shape as number[];
  const got = Array.isArray(shape) ? JSON.stringify(shape).slice(0, 60) : shown(shape);
  throw refuse(`input "${name}"`, "a shape as a list of at most 64 integers of at least 0", got);
}

/** Numbers of JSON, in one list or in lists of lists, which say nothing more than the numbers' order. */
function readJsonData(name: string, data: unknown, shape: readonly number[], dtype: Dtype): Tensor {
  if (!Array.isArray(data))
    throw refuse(`input "${name}"`, "data as a list, or binary_data_size", shown(data));
  const isFloat = dtype.includes("float");
  const flat: (number | boolean)[] = [];
  /** How many there are in each list, by its depth. */
  const sizes: number[] = [];
  const walk = (list: readonly unknown[], depth: number): void => {
    const before = flat.length;
    for (const value of list) {
      if (Array.isArray(value)) walk(value, depth + 1);
      else flat.push(readNumber(name, value, isFloat));
    }
    const size = flat.length - before;
    if (size === (sizes[depth] ??= size)) return;
    throw refuse(
      `input "${name}"`,
      "lists of one length",
      `one of ${sizes[depth]} and one of ${size} numbers`,
    );
  };
  walk(data, 0);
  const count = shape.reduce((product, dim) => product * dim, 1);
  if (count !== flat.length) {
    throw refuse(`input "${name}"`, `${count} elements for shape [${shape.join(", ")}]`, `${flat.length}`);
  }
  try {
    return Tensor.from(flat, { dtype, shape });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(name, error.expected, error.got);
  }
}

/** JSON has no number for these. */
const specials: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity };

function readNumber(name: string, value: unknown, isFloat: boolean): number | boolean {
  if (typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) return value;
  if (isFloat && typeof value === "string" && Object.hasOwn(specials, value)) return specials[value];
  const hint = typeof value === "number" ? "one beyond their range" : shown(value);
  throw refuse(`input "${name}"`, "numbers", hint);
}

function readOutputs(
  outputs: unknown,
  binaryOutputs: boolean,
  limits: Limits,
): readonly RequestedOutput[] | null {
  if (outputs === undefined || outputs === null) return null;
  if (!Array.isArray(outputs)) throw refuse("outputs", "a list of outputs", shown(outputs));
  if (outputs.length > limits.tensors) throw refuse("outputs", `at most ${limits.tensors}`, shown(outputs));
  const names = new Set<string>();
  const read = outputs.map((output: unknown, i) => {
    if (!isObject(output)) throw refuse(`outputs[${i}]`, "an object", shown(output));
    const name = readName(output.name, `outputs[${i}]`);
    if (names.has(name)) throw refuse(`outputs[${i}]`, "each output once", shown(name));
    names.add(name);
    const given = checkParameters(output.parameters, `output "${name}" parameters`, limits);
    checkOutput(name, given);
    return { name, binary: (given.binary_data ?? binaryOutputs) === true };
  });
  return read.length === 0 ? null : read;
}

/** Refuses what is asked of an output and does not exist here. */
export function checkOutput(name: string, parameters: JsonObject): void {
  const { classification, shared_memory_region: region, binary_data: binary } = parameters;
  if (classification) throw refuse(`output "${name}"`, "no classification", shown(classification));
  if (region !== undefined) throw refuse(`output "${name}"`, "no shared memory region", shown(region));
  if (binary !== undefined && typeof binary !== "boolean") {
    throw refuse(`output "${name}"`, "binary_data of true or false", shown(binary));
  }
}

export function readName(name: unknown, path: string): string {
  if (typeof name === "string" && name !== "" && name.length <= 1024) return name;
  throw refuse(`${path}.name`, "a name", shown(name));
}

/** `got` is a text of ours, or what `shown` makes of a client's value. */
export function refuse(field: string, expected: string, got: string): RequestError {
  return new RequestError(400, `Cannot accept ${field}: expected ${expected}, got ${got}`);
}
