/** Sample rows, and when two outputs count as different. */

import { describe, expect, it } from "vitest";
import { difference, fillSample, randomNumbers } from "../src/backends/samples.ts";
import { onnxDtypes } from "../src/onnx/dtypes.ts";
import type { OnnxDtype } from "../src/onnx/dtypes.ts";
import { fromHalves } from "../src/onnx/halves.ts";
import { carriedDtypes } from "./models.ts";

const number = (dtype: OnnxDtype): number => onnxDtypes[dtype].number;
const bytes = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer.slice(0));
const floats = (...values: number[]): Uint8Array => bytes(Float32Array.from(values));

describe("samples", () => {
  const sample = (dtype: OnnxDtype, seed: number): Uint8Array<ArrayBuffer> => {
    const to = new Uint8Array(16 * 8);
    fillSample(to, number(dtype), randomNumbers(seed));
    return to;
  };

  it.each(carriedDtypes)("of %s follow from the seed, and differ from row to row", (dtype) => {
    expect(sample(dtype, 3)).toEqual(sample(dtype, 3));
    expect(sample(dtype, 3)).not.toEqual(sample(dtype, 4));
  });

  it("are small numbers, and integers that may be places in a table", () => {
    const values = [
      ...new Float32Array(sample("float32", 1).buffer),
      ...new Float64Array(sample("float64", 1).buffer),
      ...fromHalves(new Uint16Array(sample("float16", 1).buffer), "float16"),
      ...fromHalves(new Uint16Array(sample("bfloat16", 1).buffer), "bfloat16"),
    ];
    expect(values.every((value) => value >= -1 && value <= 1)).toBe(true);
    const integers = [
      ...new BigInt64Array(sample("int64", 1).buffer),
      ...new Int32Array(sample("int32", 1).buffer),
    ];
    expect(new Set(integers.map(Number))).toEqual(new Set([0, 1]));
    expect(Math.max(...sample("uint8", 1))).toBeGreaterThan(200);
  });
});

describe("outputs", () => {
  const f32 = number("float32");

  it("of floats differ by more than rounding, measured by the largest value", () => {
    expect(difference(floats(1000, 1), floats(1000.9, 1.5), f32, 1e-3)).toBeNull();
    expect(difference(floats(1000, 1), floats(1002, 1), f32, 1e-3)?.by).toBe(2);
    expect(difference(floats(0, 0), floats(0, 0), f32, 1e-3)).toBeNull();
    expect(difference(floats(0, 0), floats(0, 1e-20), f32, 1e-3)).not.toBeNull();
  });

  it("that are no numbers are the same only if both are", () => {
    expect(difference(floats(NaN, Infinity), floats(NaN, Infinity), f32, 1e-3)).toBeNull();
    expect(difference(floats(NaN, 1), floats(1, 1), f32, 1e-3)?.by).toBe(Infinity);
    expect(difference(floats(Infinity, 1), floats(-Infinity, 1), f32, 1e-3)?.by).toBe(Infinity);
  });

  it("of integers may differ in one of a hundred", () => {
    const classes = new BigInt64Array(200).fill(7n);
    const two = classes.slice().fill(8n, 0, 2);
    const three = classes.slice().fill(8n, 0, 3);
    expect(difference(bytes(classes), bytes(two), number("int64"), 0)).toBeNull();
    expect(difference(bytes(classes), bytes(three), number("int64"), 0)).toEqual({
      by: 0.015,
      allowed: 0.01,
    });
    expect(difference(Uint8Array.of(1), Uint8Array.of(2), number("uint8"), 0)?.by).toBe(1);
  });

  it("of other sizes differ", () => {
    expect(difference(floats(1), floats(1, 1), f32, 1)).toEqual({ by: Infinity, allowed: 0 });
  });
});
