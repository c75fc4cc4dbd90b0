/** Sample rows that follow from a seed, and how far two outputs may lie apart. */

import { dtypeName, rawBytes } from "../onnx/dtypes.ts";
import { fromHalves, toHalves } from "../onnx/halves.ts";

/** Bytes of one element; `dtype` is a TP_* number, which is ONNX's. */
export function elementBytes(dtype: number): number {
  return rawBytes(dtype, [1]) ?? 1;
}

/** Numbers from 0 to below 1 that follow from `seed` (xorshift). */
export function randomNumbers(seed: number): () => number {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/**
 * Fills `to` with values that most models take: floats from -1 to 1, bytes of any value, other integers 0 or
 * 1, as they may be places in a table.
 */
export function fillSample(to: Uint8Array, dtype: number, random: () => number): void {
  const name = dtypeName(dtype);
  const size = elementBytes(dtype);
  const count = Math.floor(to.byteLength / size);
  if (/float/.test(name)) {
    const values = Float32Array.from({ length: count }, () => random() * 2 - 1);
    const half = name === "float16" || name === "bfloat16";
    const data = half ? toHalves(values, name).bits : name === "float64" ? Float64Array.from(values) : values;
    to.set(new Uint8Array(data.buffer, 0, to.byteLength));
    return;
  }
  to.fill(0);
  // The lowest byte comes first.
  for (let i = 0; i < count; i++) to[i * size] = random() * (name === "uint8" ? 256 : 2);
}

export interface Difference {
  /** Of floats the largest difference, Infinity if only one of two is a number; of integers their share. */
  by: number;
  allowed: number;
}

/** Of integers that a float model rounds to, such as classes of pixels, so many may differ. */
const INTEGER_SHARE = 0.01;

/**
 * How far two outputs are apart, if that is more than the tolerance allows; else null. Of floats it is
 * relative to the largest value of the two.
 */
export function difference(
  a: Uint8Array,
  b: Uint8Array,
  dtype: number,
  tolerance: number,
): Difference | null {
  if (a.byteLength !== b.byteLength) return { by: Infinity, allowed: 0 };
  const [x, y] = [floatsOf(a, dtype), floatsOf(b, dtype)];
  const found = x === null || y === null ? integers(a, b, dtype) : floats(x, y, tolerance);
  return found.by > found.allowed ? found : null;
}

function floats(x: ArrayLike<number>, y: ArrayLike<number>, tolerance: number): Difference {
  let [by, scale] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    if (Object.is(x[i], y[i])) continue;
    const apart = Math.abs(x[i] - y[i]);
    by = Math.max(by, Number.isNaN(apart) ? Infinity : apart);
  }
  if (by === 0) return { by, allowed: 0 };
  for (const values of [x, y])
    for (let i = 0; i < values.length; i++)
      if (Number.isFinite(values[i])) scale = Math.max(scale, Math.abs(values[i]));
  return { by, allowed: tolerance * scale };
}

function integers(a: Uint8Array, b: Uint8Array, dtype: number): Difference {
  const size = elementBytes(dtype);
  const count = a.byteLength / size;
  let different = 0;
  for (let i = 0; i < count; i++) {
    let d = 0;
    while (d < size && a[i * size + d] === b[i * size + d]) d++;
    if (d < size) different++;
  }
  return { by: count === 0 ? 0 : different / count, allowed: INTEGER_SHARE };
}

/** The bytes as floats; null if they are none. The bytes must be all of their buffer. */
function floatsOf({ buffer }: Uint8Array, dtype: number): Float32Array | Float64Array | null {
  const name = dtypeName(dtype);
  if (name === "float32") return new Float32Array(buffer);
  if (name === "float64") return new Float64Array(buffer);
  return name === "float16" || name === "bfloat16" ? fromHalves(new Uint16Array(buffer), name) : null;
}
