/** Nested lists of JavaScript values as tensors: their shape, and their values in an element type. */

import { InputError, show } from "../errors.ts";
import { MAX_RANK } from "../native/abi.ts";
import { dtypes } from "./dtype.ts";
import type { DtypeInfo, TensorData } from "./dtype.ts";
import { bfloat16Bits, float16Bits } from "./half.ts";
import { showCount, showShape } from "./shape.ts";
import type { Dtype } from "./types.ts";

/**
 * Values of a tensor as one writes them down: numbers (booleans, bigints), nested one level for each
 * dimension.
 */
export type TensorList = readonly (number | bigint | boolean | TensorList)[];

export interface FlatList {
  shape: number[];
  values: unknown[];
}

/** Flattens a nested list. All lists of one level must have the same length. Throws InputError. */
export function flatten(list: readonly unknown[]): FlatList {
  const shape: number[] = [];
  for (let inner: unknown = list; Array.isArray(inner); inner = inner[0]) {
    if (shape.length === MAX_RANK)
      throw new InputError("data", `lists at most ${MAX_RANK} deep`, "deeper ones");
    shape.push(inner.length);
  }
  const values: unknown[] = [];
  const walk = (part: readonly unknown[], depth: number, path: string): void => {
    if (part.length !== shape[depth]) {
      throw new InputError("data", `${showCount(shape[depth])} in data${path}`, `${part.length}`);
    }
    const innermost = depth === shape.length - 1;
    for (let i = 0; i < shape[depth]; i++) {
      const item = part[i];
      if (Array.isArray(item) === innermost) {
        const expected = innermost ? "a number" : `a list of ${shape[depth + 1]}`;
        throw new InputError("data", `${expected} at data${path}[${i}]`, show(item));
      }
      if (innermost) values.push(item);
      else walk(item as unknown[], depth + 1, `${path}[${i}]`);
    }
  };
  walk(list, 0, "");
  return { shape, values };
}

/** The element type of a list when none is given: bool for booleans, int64 for bigints, else float32. */
export function dtypeOfValue(value: unknown): Dtype {
  if (typeof value === "boolean") return "bool";
  return typeof value === "bigint" ? "int64" : "float32";
}

/**
 * Writes values in an element type. Throws InputError for one that the type cannot hold; floats are rounded.
 */
export function encodeValues(values: ArrayLike<unknown>, dtype: Dtype): TensorData {
  const info = dtypes[dtype];
  const data = new info.carrier(values.length) as { [index: number]: number | bigint } & TensorData;
  for (let i = 0; i < values.length; i++) {
    const encoded = info.range === null ? encodeFloat(values[i], dtype) : encodeInteger(values[i], info);
    if (encoded === undefined) {
      const hint = hasLostDigits(values[i], info) ? DIGITS : "";
      throw new InputError("data", `${describeValues(dtype)} at element ${i}${hint}`, show(values[i]));
    }
    data[i] = encoded;
  }
  return data;
}

function encodeFloat(value: unknown, dtype: Dtype): number | undefined {
  if (typeof value !== "number") return undefined;
  if (dtype === "float16") return float16Bits(value);
  return dtype === "bfloat16" ? bfloat16Bits(value) : value;
}

function encodeInteger(value: unknown, { range, bytes }: DtypeInfo): number | bigint | undefined {
  let integer: bigint;
  if (typeof value === "bigint") integer = value;
  else if (typeof value === "boolean") integer = value ? 1n : 0n;
  else if (typeof value === "number" && Number.isSafeInteger(value)) integer = BigInt(value);
  else return undefined;
  if (integer < range![0] || integer > range![1]) return undefined;
  return bytes === 8 ? integer : Number(integer);
}

const DIGITS = ", as a bigint or as binary data because numbers of this size lose digits";

function hasLostDigits(value: unknown, { range, bytes }: DtypeInfo): boolean {
  return range !== null && bytes === 8 && Number.isInteger(value) && !Number.isSafeInteger(value);
}

function describeValues(dtype: Dtype): string {
  const { range } = dtypes[dtype];
  if (dtype === "bool") return "true or false (or 1 or 0)";
  return range === null ? "a number" : `an integer from ${range[0]} to ${range[1]}`;
}

/** InputError unless the shape has as many elements as there are. */
export function checkElements(input: string, shape: readonly number[], wanted: number, got: number): void {
  if (wanted === got) return;
  throw new InputError(input, `${showCount(wanted)} for shape ${showShape(shape)}`, `${got}`);
}
