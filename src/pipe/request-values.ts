/**
 * The half of reading a request that touches the caller's objects: each property is read once, and what it
 * was is kept for the checks that follow, so that no getter or proxy can change what was checked.
 */

import { InputError } from "../errors.ts";
import { MAX_RANK } from "../native/abi.ts";
import { readPieces } from "./chunks.ts";
import { DeviceTensor } from "./device-tensor.ts";
import type { ModelSpec } from "./spec.ts";
import { Tensor, isTensorLike } from "./tensor.ts";
import type { TensorLike } from "./tensor.ts";
import { showSafely, tagOf } from "./views.ts";

/**
 * What came for one input, not checked yet. Used again for every request, so that reading one allocates
 * nothing.
 */
export interface RequestValue {
  view: unknown;
  /** Set in place of `view` when the data came as an array of byte arrays. */
  pieces: readonly Uint8Array[] | null;
  /** Instead of a view, if it is in device memory. */
  device: DeviceTensor | null;
  /** undefined for bare data. */
  dtype: unknown;
  /** Number of dimensions; -1 for bare data. */
  rank: number;
  readonly dims: unknown[];
}

export function newValue(): RequestValue {
  return { view: undefined, pieces: null, device: null, dtype: undefined, rank: -1, dims: [] };
}

/** `input.data` of an object that can take a result; a stale result is deleted. */
export function readData(input: unknown): unknown {
  if (typeof input !== "object" || input === null || input instanceof Tensor) throw notAnInput(input);
  if (!Object.isExtensible(input)) {
    throw new InputError("input", "an object that can take a result", "a frozen or non-extensible object");
  }
  if ("result" in input) deleteResult(input);
  const { data } = input as { data?: unknown };
  if (data === undefined) throw notAnInput(input);
  return data;
}

/** What came for each of the model's inputs, in its order. */
export function readValues(data: unknown, spec: ModelSpec, values: RequestValue[]): void {
  while (values.length < spec.inputs.length) values.push(newValue());
  if (!isSingle(data, spec)) return readRecord(data, spec, values);
  if (spec.inputs.length > 1) {
    throw new InputError("data", `an object with the inputs ${namesOf(spec)}`, showSafely(data));
  }
  readValue(data, spec.inputs[0].name, values[0]);
}

/** Turns what a caller's getter or proxy threw into an InputError. */
export function asInputError(error: unknown): InputError {
  try {
    if (error instanceof InputError) return error;
  } catch {
    // Even the thrown value is a proxy that throws.
  }
  return new InputError("data", "properties that can be read", "an error from one of them", { cause: error });
}

/**
 * Whether the data is one tensor, not a record of them. Inputs may be called "data", "shape" and "dtype",
 * too.
 */
function isSingle(data: unknown, { inputs }: ModelSpec): boolean {
  if (tagOf(data) !== undefined || Array.isArray(data)) return true;
  if (data instanceof Tensor || data instanceof DeviceTensor) return true;
  if (!isTensorLike(data)) return false;
  return !["data", "shape", "dtype"].every((key) => inputs.some(({ name }) => name === key));
}

function readRecord(data: unknown, spec: ModelSpec, values: RequestValue[]): void {
  const { inputs } = spec;
  if (!isRecord(data)) {
    const field = inputs.length === 1 ? inputs[0].name : "data";
    const expected =
      inputs.length === 1 ? "a Tensor or typed array" : `an object with the inputs ${namesOf(spec)}`;
    throw new InputError(field, expected, showSafely(data));
  }
  const keys = Object.keys(data);
  const unknown = keys.find((key) => !inputs.some(({ name }) => name === key));
  if (unknown !== undefined) {
    throw new InputError(unknown.slice(0, 80), `a name of the model's, ${namesOf(spec)}`, "an unknown one");
  }
  inputs.forEach(({ name }, k) => {
    if (!keys.includes(name)) {
      throw new InputError(name, `a value for each of ${namesOf(spec)}`, `none in ${showSafely(data)}`);
    }
    readValue((data as Record<string, unknown>)[name], name, values[k]);
  });
}

function isRecord(data: unknown): data is object {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return false;
  return !(ArrayBuffer.isView(data) || data instanceof ArrayBuffer || data instanceof Promise);
}

function readValue(value: unknown, name: string, to: RequestValue): void {
  to.device = null;
  to.pieces = Array.isArray(value) ? (readPieces(value) ?? null) : null;
  if (tagOf(value) !== undefined || to.pieces !== null) {
    to.view = value;
    to.dtype = undefined;
    to.rank = -1;
    return;
  }
  if (value instanceof DeviceTensor) {
    readShaped(value, undefined, name, to);
    to.device = value;
    return;
  }
  if (!isTensorLike(value)) throw new InputError(name, "a Tensor or typed array", showSafely(value));
  readShaped(value, value.data, name, to);
}

function readShaped(
  value: Pick<TensorLike, "shape" | "dtype">,
  view: unknown,
  name: string,
  to: RequestValue,
): void {
  const shape: unknown = value.shape;
  to.view = view;
  to.pieces = Array.isArray(view) ? (readPieces(view) ?? null) : null;
  to.dtype = value.dtype;
  if (!Array.isArray(shape)) throw new InputError(name, "a shape as an array of integers", showSafely(shape));
  const rank = shape.length;
  if (rank > MAX_RANK) throw new InputError(name, `a shape of at most ${MAX_RANK} dimensions`, `${rank}`);
  to.rank = rank;
  for (let d = 0; d < rank; d++) to.dims[d] = shape[d];
}

function deleteResult(input: object): void {
  if (Reflect.deleteProperty(input, "result") && !("result" in input)) return;
  throw new InputError("input", "an object whose result can be set", "one where it is fixed or inherited");
}

function notAnInput(input: unknown): InputError {
  const shown = showSafely(input);
  const object = typeof input === "object" && input !== null && !Array.isArray(input);
  const data = tagOf(input) !== undefined || input instanceof Tensor;
  return new InputError("input", "an object { data }", object && !data ? `${shown} without data` : shown);
}

function namesOf({ inputs }: ModelSpec): string {
  return inputs.map(({ name }) => `"${name}"`).join(", ");
}
