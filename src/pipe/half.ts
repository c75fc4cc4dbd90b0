/**
 * The 16-bit floating-point formats as bits: IEEE 754 half (float16) and the upper half of a float32
 * (bfloat16).
 */

interface Format {
  mantissaBits: number;
  bias: number;
}

const float16: Format = { mantissaBits: 10, bias: 15 };
const bfloat16: Format = { mantissaBits: 7, bias: 127 };

/** The float16 nearest to `value`, ties to even, too large to Infinity. */
export const float16Bits = (value: number): number => encode(value, float16);
export const bfloat16Bits = (value: number): number => encode(value, bfloat16);
export const float16Value = (bits: number): number => decode(bits, float16);
export const bfloat16Value = (bits: number): number => decode(bits, bfloat16);

const scratch = new DataView(new ArrayBuffer(8));

function encode(value: number, { mantissaBits, bias }: Format): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const infinity = 0x7fff & ~((1 << mantissaBits) - 1);
  if (Number.isNaN(value)) return infinity | (1 << (mantissaBits - 1));
  scratch.setFloat64(0, value);
  // Below the smallest normal number the spacing stays that of the smallest exponent.
  const exponent = Math.max(((scratch.getUint16(0) >>> 4) & 0x7ff) - 1023, 1 - bias);
  if (exponent > bias) return sign | infinity;
  const steps = roundHalfToEven(Math.abs(value) * 2 ** (mantissaBits - exponent));
  // The leading 1 of a normal number, and a mantissa that was rounded up to 2, both carry into the exponent.
  return sign | (((exponent + bias - 1) << mantissaBits) + steps);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

function decode(bits: number, { mantissaBits, bias }: Format): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const mantissa = bits & ((1 << mantissaBits) - 1);
  const exponent = (bits & 0x7fff) >>> mantissaBits;
  if (exponent === 2 * bias + 1) return mantissa === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * mantissa * 2 ** (1 - bias - mantissaBits);
  return sign * (mantissa + (1 << mantissaBits)) * 2 ** (exponent - bias - mantissaBits);
}
