/** float32 to the 16-bit floats and back, many at a time. Rounds to nearest, ties to even. */

export type HalfDtype = "float16" | "bfloat16";

export interface Halves {
  /** The bits. */
  bits: Uint16Array<ArrayBuffer>;
  /** How many finite values became infinite, being out of the format's range. */
  overflows: number;
}

export function toHalves(values: Float32Array, dtype: HalfDtype): Halves {
  const from = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  const round = dtype === "float16" ? float16Bits : bfloat16Bits;
  const infinity = dtype === "float16" ? 0x7c00 : 0x7f80;
  let overflows = 0;
  for (let i = 0; i < from.length; i++) {
    const half = round(from[i]);
    bits[i] = half;
    if ((half & 0x7fff) === infinity && (from[i] & 0x7fffffff) !== 0x7f800000) overflows++;
  }
  return { bits, overflows };
}

/** Adds what rounds to even in the lowest `shift` bits, and drops them; a carry goes on into the exponent. */
function shifted(value: number, shift: number): number {
  return (value + (1 << (shift - 1)) - 1 + ((value >>> shift) & 1)) >>> shift;
}

function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  // NaN stays one; infinity, and what rounds to 2^16, is infinity.
  if (magnitude > 0x7f800000) return 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  const exponent = magnitude >>> 23;
  if (exponent >= 113) return sign | shifted(magnitude - (112 << 23), 13);
  // Below 2^-14 the fraction loses a bit for each power of two; below 2^-25 all of it.
  if (exponent < 102) return sign;
  return sign | shifted((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
}

function bfloat16Bits(bits: number): number {
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7fc0;
  return ((bits >>> 16) & 0x8000) | shifted(magnitude, 16);
}

export function fromHalves(bits: Uint16Array, dtype: HalfDtype): Float32Array<ArrayBuffer> {
  const to = new Float32Array(bits.length);
  if (dtype === "bfloat16") {
    const words = new Uint32Array(to.buffer);
    for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
    return to;
  }
  for (let i = 0; i < bits.length; i++) {
    const exponent = (bits[i] >>> 10) & 31;
    const fraction = bits[i] & 0x3ff;
    const sign = bits[i] >= 0x8000 ? -1 : 1;
    if (exponent === 31) to[i] = fraction === 0 ? sign * Infinity : NaN;
    else if (exponent === 0) to[i] = sign * fraction * 2 ** -24;
    else to[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return to;
}
