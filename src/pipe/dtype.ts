/** Element types: their numbers in the C ABI, their sizes, and the typed arrays that carry them. */

import * as abi from "../native/abi.ts";
import type { Dtype } from "./types.ts";

/**
 * The typed array that holds each element type in a Tensor. float16 and bfloat16 are the bits, in a
 * Uint16Array, in every runtime; bool is one byte each, 0 or 1.
 */
export interface Carriers {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}

/** The data of a tensor: one of the typed arrays that carry an element type. */
export type TensorData = Carriers[Dtype];

/** Makes a carrier with `length` elements, or a view of a buffer. */
export interface CarrierConstructor {
  readonly prototype: TensorData;
  new (length: number): TensorData;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TensorData;
}

export interface DtypeInfo {
  /** ONNX's number, as in the C header. */
  number: number;
  /** Bytes of one element. */
  bytes: number;
  carrier: CarrierConstructor;
  /** The carrier's true class name, and others that are accepted for the same bytes. */
  tag: string;
  alias: string | null;
  /** Smallest and largest integer; null for types that take any number. */
  range: readonly [bigint, bigint] | null;
}

export const dtypes: Readonly<Record<Dtype, DtypeInfo>> = {
  float32: { ...of(abi.TP_F32, Float32Array), range: null },
  float64: { ...of(abi.TP_F64, Float64Array), range: null },
  float16: { ...of(abi.TP_F16, Uint16Array), range: null, alias: "Float16Array" },
  bfloat16: { ...of(abi.TP_BF16, Uint16Array), range: null },
  int8: { ...of(abi.TP_I8, Int8Array), range: signed(8n) },
  uint8: { ...of(abi.TP_U8, Uint8Array), range: unsigned(8n), alias: "Uint8ClampedArray" },
  int16: { ...of(abi.TP_I16, Int16Array), range: signed(16n) },
  uint16: { ...of(abi.TP_U16, Uint16Array), range: unsigned(16n) },
  int32: { ...of(abi.TP_I32, Int32Array), range: signed(32n) },
  uint32: { ...of(abi.TP_U32, Uint32Array), range: unsigned(32n) },
  int64: { ...of(abi.TP_I64, BigInt64Array), range: signed(64n) },
  uint64: { ...of(abi.TP_U64, BigUint64Array), range: unsigned(64n) },
  bool: { ...of(abi.TP_BOOL, Uint8Array), range: [0n, 1n] },
};

const byNumber = new Map(names().map((dtype) => [dtypes[dtype].number, dtype]));

/** The element type that each typed array stands for when nothing else is said. */
const byTag: ReadonlyMap<string, Dtype> = new Map([
  ...names().map((dtype) => [dtypes[dtype].tag, dtype] as const),
  ["Uint16Array", "uint16"],
  ["Uint8Array", "uint8"],
  ["Uint8ClampedArray", "uint8"],
  ["Float16Array", "float16"],
]);

export function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(dtypes, value);
}

/** The element type of a TP_* number. */
export function dtypeOfNumber(number: number): Dtype | undefined {
  return byNumber.get(number);
}

/** The element type that a typed array of this class stands for when nothing else is said. */
export function dtypeOfTag(tag: string): Dtype | undefined {
  return byTag.get(tag);
}

/** `float32 (Float32Array)`, for error texts. */
export function showDtype(dtype: Dtype): string {
  return `${dtype} (${dtypes[dtype].tag})`;
}

export function names(): Dtype[] {
  return Object.keys(dtypes) as Dtype[];
}

function of(
  number: number,
  carrier: CarrierConstructor & { BYTES_PER_ELEMENT: number; name: string },
): Omit<DtypeInfo, "range"> {
  return { number, bytes: carrier.BYTES_PER_ELEMENT, carrier, tag: carrier.name, alias: null };
}

function signed(bits: bigint): [bigint, bigint] {
  return [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n];
}

function unsigned(bits: bigint): [bigint, bigint] {
  return [0n, (1n << bits) - 1n];
}
