/** ONNX element types: TensorProto.DataType numbers, and the bits that one element takes in `raw_data`. */
export const onnxDtypes = {
  float32: { number: 1, bits: 32 },
  uint8: { number: 2, bits: 8 },
  int8: { number: 3, bits: 8 },
  uint16: { number: 4, bits: 16 },
  int16: { number: 5, bits: 16 },
  int32: { number: 6, bits: 32 },
  int64: { number: 7, bits: 64 },
  /** Of no fixed size: never in `raw_data`. */
  string: { number: 8, bits: 0 },
  bool: { number: 9, bits: 8 },
  float16: { number: 10, bits: 16 },
  float64: { number: 11, bits: 64 },
  uint32: { number: 12, bits: 32 },
  uint64: { number: 13, bits: 64 },
  complex64: { number: 14, bits: 64 },
  complex128: { number: 15, bits: 128 },
  bfloat16: { number: 16, bits: 16 },
  float8e4m3fn: { number: 17, bits: 8 },
  float8e4m3fnuz: { number: 18, bits: 8 },
  float8e5m2: { number: 19, bits: 8 },
  float8e5m2fnuz: { number: 20, bits: 8 },
  uint4: { number: 21, bits: 4 },
  int4: { number: 22, bits: 4 },
  float4e2m1: { number: 23, bits: 4 },
  float8e8m0: { number: 24, bits: 8 },
  uint2: { number: 25, bits: 2 },
  int2: { number: 26, bits: 2 },
} as const;

export type OnnxDtype = keyof typeof onnxDtypes;

const names = new Map<number, OnnxDtype>(
  Object.entries(onnxDtypes).map(([name, { number }]) => [number, name as OnnxDtype]),
);

/** Name of a DataType number, or `"type N"` for a number that is newer than this table. */
export function dtypeName(number: number): string {
  return names.get(number) ?? `type ${number}`;
}

/**
 * Bytes that a tensor takes in `raw_data`; null where the number or its size is not known, or a dimension is
 * not fixed.
 */
export function rawBytes(number: number, dims: readonly number[]): number | null {
  const name = names.get(number);
  if (name === undefined || onnxDtypes[name].bits === 0) return null;
  let elements = 1;
  for (const dim of dims) {
    if (dim < 0) return null;
    elements *= dim;
  }
  return Math.ceil((elements * onnxDtypes[name].bits) / 8);
}
