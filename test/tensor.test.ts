import * as fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { InputError } from "../src/errors.ts";
import { dtypeOfNumber, dtypes, names } from "../src/pipe/dtype.ts";
import { bfloat16Bits, bfloat16Value, float16Bits, float16Value } from "../src/pipe/half.ts";
import { Tensor, isTensorLike, toTensor } from "../src/pipe/tensor.ts";
import type { TensorData } from "../src/pipe/tensor.ts";
import type { Dtype } from "../src/pipe/types.ts";
import { caught } from "./caught.ts";

const refused = (action: () => unknown): InputError => caught(InputError, action);

/** Distinct bytes in the carrier of a dtype. */
function filled(dtype: Dtype, length: number): TensorData {
  const data = new dtypes[dtype].carrier(length);
  const bytes = new Uint8Array(data.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = dtype === "bool" ? i & 1 : (i * 37 + 11) & 0xff;
  return data;
}

function bytesOf({ data }: Tensor): number[] {
  return Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

describe("dtypes", () => {
  it("are the 13 that have a carrier, with their ONNX numbers and sizes", () => {
    const table = names().map((dtype) => [
      dtype,
      dtypes[dtype].number,
      dtypes[dtype].bytes,
      dtypes[dtype].tag,
    ]);
    expect(table).toEqual([
      ["float32", 1, 4, "Float32Array"],
      ["float64", 11, 8, "Float64Array"],
      ["float16", 10, 2, "Uint16Array"],
      ["bfloat16", 16, 2, "Uint16Array"],
      ["int8", 3, 1, "Int8Array"],
      ["uint8", 2, 1, "Uint8Array"],
      ["int16", 5, 2, "Int16Array"],
      ["uint16", 4, 2, "Uint16Array"],
      ["int32", 6, 4, "Int32Array"],
      ["uint32", 12, 4, "Uint32Array"],
      ["int64", 7, 8, "BigInt64Array"],
      ["uint64", 13, 8, "BigUint64Array"],
      ["bool", 9, 1, "Uint8Array"],
    ]);
    for (const dtype of names()) expect(dtypeOfNumber(dtypes[dtype].number)).toBe(dtype);
    for (const number of [0, 8, 14, 15, 17, -1, NaN]) expect(dtypeOfNumber(number)).toBeUndefined();
  });
});

describe("16-bit floats", () => {
  it("keep every value", () => {
    const all = Array.from({ length: 0x10000 }, (_, bits) => bits);
    const kept = (there: (bits: number) => number, back: (value: number) => number): number[] =>
      all.filter((bits) => Number.isNaN(there(bits)) || back(there(bits)) === bits);
    expect(kept(float16Value, float16Bits)).toEqual(all);
    expect(kept(bfloat16Value, bfloat16Bits)).toEqual(all);
    expect(all.filter((bits) => Number.isNaN(float16Value(bits)))).toHaveLength(2 * 0x3ff);
    expect(all.filter((bits) => Number.isNaN(bfloat16Value(bits)))).toHaveLength(2 * 0x7f);
  });

  it("round to the nearest, ties to even", () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [float16Value(bits), float16Value(bits + 1)];
      const middle = (low + high) / 2;
      expect(float16Bits(middle)).toBe(bits % 2 === 0 ? bits : bits + 1);
      expect(float16Bits(middle - (high - low) / 8)).toBe(bits);
      expect(float16Bits(-(middle + (high - low) / 8))).toBe(0x8000 | (bits + 1));
    }
  });

  it("agree with float32 for bfloat16, whose upper half it is", () => {
    const f32 = new Float32Array(1);
    const bits = new Uint32Array(f32.buffer);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), (upper) => {
        bits[0] = upper << 16;
        expect(bfloat16Value(upper)).toBe(f32[0]);
      }),
    );
  });

  it.each([
    [1, 0x3c00, 0x3f80],
    [-2, 0xc000, 0xc000],
    [-0, 0x8000, 0x8000],
    [65_504, 0x7bff, 0x4780],
    [65_519.99, 0x7bff, 0x4780],
    [65_520, 0x7c00, 0x4780],
    [70_000, 0x7c00, 0x4789],
    [1e300, 0x7c00, 0x7f80],
    [-Infinity, 0xfc00, 0xff80],
    [NaN, 0x7e00, 0x7fc0],
    [5e-324, 0, 0],
    [2 ** -24, 1, 0x3380],
    [2 ** -25, 0, 0x3300],
    // Via float32 this would be rounded twice, to an even neighbour that is not the nearest.
    [1 + 2 ** -11 + 2 ** -40, 0x3c01, 0x3f80],
  ])("%d is 0x%s and 0x%s", (value, half, brain) => {
    expect(float16Bits(value)).toBe(half);
    expect(bfloat16Bits(value)).toBe(brain);
  });
});

describe("Tensor.from a typed array", () => {
  it("wraps it without a copy", () => {
    const data = new Float32Array(6);
    const tensor = Tensor.from(data, { shape: [2, 3] });
    expect(tensor.data).toBe(data);
    expect(tensor).toMatchObject({ shape: [2, 3], dtype: "float32", rows: 2, size: 6, bytes: 24 });
    expect(Tensor.from(data).shape).toEqual([6]);
    expect(Tensor.from(data.subarray(1, 2), { shape: [] })).toMatchObject({ rows: 1, size: 1, bytes: 4 });
    expect(Object.isFrozen(tensor.shape)).toBe(true);
    expect(Tensor.from(data.subarray(0, 0), { shape: [-0] }).shape).toEqual([0]);
  });

  it.each(names())("takes the carrier of %s", (dtype) => {
    const data = filled(dtype, 4);
    const tensor = Tensor.from(data, { dtype, shape: [2, 2] });
    expect(tensor.data).toBe(data);
    expect(tensor.dtype).toBe(dtype);
    expect(tensor.bytes).toBe(4 * dtypes[dtype].bytes);
  });

  it("knows the usual dtype of each class", () => {
    const usual = [
      Float32Array,
      Float64Array,
      Int8Array,
      Uint8Array,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
    ];
    expect(usual.map((Class) => Tensor.from(new Class(1)).dtype)).toEqual(
      usual.map(({ name }) => name.replace("Array", "").toLowerCase().replace("float", "float")),
    );
    expect(Tensor.from(new BigInt64Array(1)).dtype).toBe("int64");
    expect(Tensor.from(new BigUint64Array(1)).dtype).toBe("uint64");
    expect(Tensor.from(new Uint8ClampedArray([1, 2])).data).toEqual(new Uint8Array([1, 2]));
    expect(Tensor.from(Buffer.from([1, 2])).dtype).toBe("uint8");
    class Mine extends Float32Array {
      override get length(): number {
        return 99;
      }
    }
    expect(Tensor.from(new Mine(3)).shape).toEqual([3]);
  });

  it("sees a Float16Array as its bits", ({ skip }) => {
    const Float16Array = (globalThis as { Float16Array?: new (values: number[]) => ArrayBufferView })
      .Float16Array;
    if (Float16Array === undefined) return skip("this runtime has no Float16Array");
    const data = new Float16Array([1, -2]);
    const tensor = Tensor.from(data);
    expect(tensor.dtype).toBe("float16");
    expect(tensor.data).toEqual(new Uint16Array([0x3c00, 0xc000]));
    expect(tensor.data.buffer).toBe(data.buffer);
  });

  it("honours offsets and shared memory", () => {
    const shared = new Int32Array(new SharedArrayBuffer(16), 4, 2);
    const tensor = Tensor.from(shared);
    shared[1] = 7;
    expect(tensor.data[1]).toBe(7);
    expect(tensor.bytes).toBe(8);
  });

  it.each<[string, () => unknown, string, string]>([
    [
      "a wrong class",
      () => Tensor.from(new Float64Array(1), { dtype: "float32" }),
      "float32 (Float32Array)",
      "Float64Array of 1",
    ],
    [
      "bits of another size",
      () => Tensor.from(new Uint8Array(2), { dtype: "float16" }),
      "float16 (Uint16Array)",
      "Uint8Array of 2",
    ],
    [
      "a length that does not fit",
      () => Tensor.from(new Float32Array(5), { shape: [2, 3] }),
      "6 elements for shape [2, 3]",
      "5",
    ],
    [
      "a length for a scalar",
      () => Tensor.from(new Float32Array(0), { shape: [] }),
      "1 element for shape []",
      "0",
    ],
    [
      "a DataView",
      () => Tensor.from(new DataView(new ArrayBuffer(4))),
      "a typed array, an array of numbers, or a Tensor",
      "DataView of 4",
    ],
    [
      "an ArrayBuffer",
      () => Tensor.from(new ArrayBuffer(4) as never),
      "a typed array, an array of numbers, or a Tensor",
      "an instance of ArrayBuffer",
    ],
    ["text", () => Tensor.from("1,2" as never), "a typed array, an array of numbers, or a Tensor", '"1,2"'],
    ["null", () => Tensor.from(null as never), "a typed array, an array of numbers, or a Tensor", "null"],
    [
      "an unknown dtype",
      () => Tensor.from([1], { dtype: "fp32" as never }),
      `one of ${names().join(", ")}`,
      '"fp32"',
    ],
  ])("refuses %s", (_, action, expected, got) => {
    expect(refused(action)).toMatchObject({ expected, got });
  });

  it("refuses a detached buffer by that name", () => {
    for (const length of [0, 4]) {
      const data = new Float32Array(length);
      structuredClone(data, { transfer: [data.buffer] });
      expect(refused(() => Tensor.from(data)).got).toBe("a Float32Array whose buffer is detached");
    }
    expect(Tensor.from(new Float32Array(0)).shape).toEqual([0]);
    expect(Tensor.from(new Float32Array(new SharedArrayBuffer(0))).shape).toEqual([0]);
  });
});

describe("shapes", () => {
  it.each<[unknown, string, string]>([
    ["2x3", "a shape as an array of integers", '"2x3"'],
    [new Int32Array([2, 3]), "a shape as an array of integers", "Int32Array of 2"],
    [null, "a shape as an array of integers", "null"],
    [[2n, 3], "dimension 0 as an integer from 0 to 2147483647", "2n"],
    [[2, -1], "dimension 1 as an integer from 0 to 2147483647", "-1"],
    [[2, 1.5], "dimension 1 as an integer from 0 to 2147483647", "1.5"],
    [[NaN], "dimension 0 as an integer from 0 to 2147483647", "NaN"],
    [["6"], "dimension 0 as an integer from 0 to 2147483647", '"6"'],
    [[2 ** 31], "dimension 0 as an integer from 0 to 2147483647", "2147483648"],
    [[2 ** 53], "dimension 0 as an integer from 0 to 2147483647", "9007199254740992"],
    [Array(1), "dimension 0 as an integer from 0 to 2147483647", "undefined"],
    [[1, 1, 1, 1, 1, 1, 1, 1, 6], "a shape of at most 8 dimensions", "9"],
    [[2 ** 30, 2 ** 30], "a shape of at most 2^53 - 1 elements", "[1073741824, 1073741824]"],
    [[6, 0], "0 elements for shape [6, 0]", "6"],
  ])("%o is refused", (shape, expected, got) => {
    const error = refused(() => Tensor.from(new Float32Array(6), { shape: shape as number[] }));
    expect(error).toMatchObject({ input: "shape", expected, got });
    expect(error.message).toBe(`Cannot accept input "shape": expected ${expected}, got ${got}`);
  });

  it("multiply as integers do", () => {
    const dim = fc.oneof(fc.nat(4), fc.nat(70_000), fc.nat(2 ** 31 - 1), fc.constant(2 ** 31 - 1));
    fc.assert(
      fc.property(fc.array(dim, { maxLength: 8 }), fc.nat(64), (shape, length) => {
        const product = shape.reduce((all, size) => all * BigInt(size), 1n);
        let outcome: string;
        try {
          const tensor = Tensor.from(new Uint8Array(length), { shape });
          outcome = `${tensor.size} in [${tensor.shape.join(", ")}]`;
        } catch (error) {
          outcome = (error as InputError).expected;
        }
        const shown = `[${shape.join(", ")}]`;
        const inexact = product > BigInt(Number.MAX_SAFE_INTEGER);
        const count = product === 1n ? "1 element" : `${product} elements`;
        const refusal = inexact ? "a shape of at most 2^53 - 1 elements" : `${count} for shape ${shown}`;
        expect(outcome).toBe(product === BigInt(length) ? `${length} in ${shown}` : refusal);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("Tensor.from a list", () => {
  it("copies numbers, booleans and bigints into their usual dtypes", () => {
    expect(Tensor.from([1, 2.5])).toMatchObject({
      dtype: "float32",
      shape: [2],
      data: new Float32Array([1, 2.5]),
    });
    expect(Tensor.from([[true], [false]])).toMatchObject({
      dtype: "bool",
      shape: [2, 1],
      data: new Uint8Array([1, 0]),
    });
    expect(Tensor.from([5n])).toMatchObject({ dtype: "int64", data: new BigInt64Array([5n]) });
    expect(Tensor.from([])).toMatchObject({ dtype: "float32", shape: [0] });
    expect(Tensor.from([[], []]).shape).toEqual([2, 0]);
    expect(
      Tensor.from(
        [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
        { shape: [2, 3] },
      ).shape,
    ).toEqual([2, 3]);
    const list = [1, 2];
    const tensor = Tensor.from(list);
    list[0] = 9;
    expect(tensor.data[0]).toBe(1);
  });

  it("converts to the dtype that was asked for", () => {
    expect(Tensor.from([1, -2, 0.5], { dtype: "float16" }).data).toEqual(
      new Uint16Array([0x3c00, 0xc000, 0x3800]),
    );
    expect(Tensor.from([1, -2], { dtype: "bfloat16" }).data).toEqual(new Uint16Array([0x3f80, 0xc000]));
    expect(Tensor.from([1, 2], { dtype: "int64" }).data).toEqual(new BigInt64Array([1n, 2n]));
    expect(Tensor.from([1n, 255], { dtype: "uint8" }).data).toEqual(new Uint8Array([1, 255]));
    expect(Tensor.from([1, 0, true], { dtype: "bool" }).data).toEqual(new Uint8Array([1, 0, 1]));
    const exact = Tensor.from([NaN, Infinity, -0, 5e-324], { dtype: "float64" }).data as Float64Array;
    expect(Array.from(exact)).toEqual([NaN, Infinity, -0, 5e-324]);
    expect(Tensor.from([2n ** 63n - 1n, -(2n ** 63n)]).data).toEqual(
      new BigInt64Array([2n ** 63n - 1n, -(2n ** 63n)]),
    );
  });

  it.each<[unknown[], Dtype | undefined, string, string]>([
    [[[1, 2], [3]], undefined, "2 elements in data[1]", "1"],
    [[[1], 2], undefined, "a list of 1 at data[1]", "2"],
    [[1, [2]], undefined, "a number at data[1]", "an array of 1"],
    [[[[1]], [[1, 2]]], undefined, "1 element in data[1][0]", "2"],
    [[JSON.parse(`${"[".repeat(8)}1${"]".repeat(8)}`)], undefined, "lists at most 8 deep", "deeper ones"],
    [[1, "2"], undefined, "a number at element 1", '"2"'],
    [[1, undefined], undefined, "a number at element 1", "undefined"],
    [Array(2), undefined, "a number at element 0", "undefined"],
    [[new Float32Array(2)], undefined, "a number at element 0", "Float32Array of 2"],
    [[1, 2n], undefined, "a number at element 1", "2n"],
    [[1, true], undefined, "a number at element 1", "true"],
    [[true, 2], undefined, "true or false (or 1 or 0) at element 1", "2"],
    [[1.5], "int32", "an integer from -2147483648 to 2147483647 at element 0", "1.5"],
    [[128], "int8", "an integer from -128 to 127 at element 0", "128"],
    [[-1], "uint64", "an integer from 0 to 18446744073709551615 at element 0", "-1"],
    [
      [2n ** 64n],
      "uint64",
      "an integer from 0 to 18446744073709551615 at element 0",
      "18446744073709551616n",
    ],
    [
      [2 ** 53],
      "int64",
      "an integer from -9223372036854775808 to 9223372036854775807 at element 0, " +
        "as a bigint or as binary data because numbers of this size lose digits",
      "9007199254740992",
    ],
    [[NaN], "uint8", "an integer from 0 to 255 at element 0", "NaN"],
  ])("refuses %o as %s", (list, dtype, expected, got) => {
    const error = refused(() => Tensor.from(list as number[], dtype === undefined ? {} : { dtype }));
    expect(error).toMatchObject({ input: "data", expected, got });
  });

  it("does not follow a list into itself for ever", () => {
    const list: unknown[] = [];
    list.push(list);
    expect(refused(() => Tensor.from(list as number[])).expected).toBe("lists at most 8 deep");
  });
});

describe("Tensor.from a tensor", () => {
  it("gives it back, or its data in another shape", () => {
    const tensor = Tensor.from([1, 2, 3, 4]);
    expect(Tensor.from(tensor)).toBe(tensor);
    const square = Tensor.from(tensor, { shape: [2, 2] });
    expect(square.data).toBe(tensor.data);
    expect(square.shape).toEqual([2, 2]);
  });

  it("converts to another dtype", () => {
    const tensor = Tensor.from([[1, 0, -3]]);
    for (const dtype of ["int8", "int64", "float64", "float16", "bfloat16"] as const) {
      const converted = Tensor.from(tensor, { dtype });
      expect(converted).toMatchObject({ dtype, shape: [1, 3] });
      expect(Tensor.from(converted, { dtype: "float32" }).data).toEqual(tensor.data);
    }
    expect(Tensor.from(Tensor.from([true, false]), { dtype: "float32" }).data).toEqual(
      new Float32Array([1, 0]),
    );
    expect(refused(() => Tensor.from(Tensor.from([0.5]), { dtype: "int8" })).got).toBe("0.5");
    expectTypeOf(Tensor.from(tensor, { dtype: "int64" })).toEqualTypeOf<Tensor<"int64">>();
  });

  it("takes one that lost its class on the way from another thread", () => {
    const tensor = Tensor.from(new Float32Array(6), { shape: [2, 3] });
    const posted = structuredClone(tensor);
    expect(posted).not.toBeInstanceOf(Tensor);
    expect(isTensorLike(posted)).toBe(true);
    const back = Tensor.from(posted);
    expect(back).toBeInstanceOf(Tensor);
    expect(back.data).toBe(posted.data);
    expect(back).toEqual(tensor);
    expect(isTensorLike({ data: 1, shape: [] })).toBe(false);
    for (const other of [null, 1, "data", [], new Float32Array(1)]) expect(isTensorLike(other)).toBe(false);
  });

  it("refuses one that is broken", () => {
    const data = new Float32Array(6);
    const broken: [unknown, string][] = [
      [{ data, shape: [5], dtype: "float32" }, "5 elements for shape [5]"],
      [{ data, shape: [6], dtype: "float64" }, "float64 (Float64Array)"],
      [{ data: [1], shape: [1], dtype: "float32" }, "float32 (Float32Array)"],
      [{ data, shape: [6], dtype: "f32" }, "a dtype, one of"],
      [{ data, shape: "6", dtype: "float32" }, "a shape as an array of integers"],
      [Object.create(Tensor.prototype), "a shape as an array of integers"],
    ];
    for (const [value, expected] of broken) {
      expect(refused(() => Tensor.from(value as Tensor)).expected).toContain(expected);
      expect(refused(() => toTensor(value as Tensor, "x")).input).toBe("x");
    }
  });
});

describe("Tensor", () => {
  const tensor = Tensor.from(new Float32Array([0, 1, 2, 3, 4, 5]), { shape: [3, 2] });

  it("reshapes, with one open dimension", () => {
    expect(tensor.reshape([2, 3]).data).toBe(tensor.data);
    expect(tensor.reshape([-1]).shape).toEqual([6]);
    expect(tensor.reshape([1, -1, 2]).shape).toEqual([1, 3, 2]);
    expect(Tensor.from([]).reshape([-1, 3]).shape).toEqual([0, 3]);
    const cases: [number[], string][] = [
      [[4], "4 elements for shape [4]"],
      [[-1, 4], "a shape that divides 6 elements"],
      [[-1, 0], "a shape that divides 6 elements"],
      [[-1, -1], "dimension 1 as an integer"],
      [[-2, 3], "dimension 0 as an integer"],
    ];
    for (const [shape, expected] of cases) {
      expect(refused(() => tensor.reshape(shape)).expected).toContain(expected);
    }
    expect(refused(() => tensor.reshape("6" as never)).input).toBe("shape");
    expect(refused(() => Tensor.from(1 as never)).input).toBe("data");
  });

  it("splits into views along the first dimension", () => {
    const parts = tensor.split();
    expect(parts.map(({ shape }) => shape)).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    expect(parts.every((part) => part.data.buffer === tensor.data.buffer)).toBe(true);
    expect(tensor.split([0, 2, 1]).map((part) => Array.from(part.data as Float32Array))).toEqual([
      [],
      [0, 1, 2, 3],
      [4, 5],
    ]);
    expect(refused(() => tensor.split([1, 1]))).toMatchObject({
      expected: "row counts that add up to 3",
      got: "2",
    });
    expect(refused(() => tensor.split([4, -1])).expected).toBe("an integer of at least 0 at sizes[1]");
    expect(refused(() => tensor.split(Array(1))).got).toBe("undefined");
    expect(refused(() => tensor.split(3 as never)).got).toBe("3");
    expect(refused(() => tensor.reshape([6]).split()[0].reshape([]).split()).got).toBe("a scalar");
  });

  it("stacks and joins tensors of one kind only", () => {
    const [a, b] = [Tensor.from([1, 2]), Tensor.from([3, 4])];
    expect(Tensor.stack([a, b])).toEqual(
      Tensor.from([
        [1, 2],
        [3, 4],
      ]),
    );
    expect(Tensor.concat([a, b, Tensor.from([5])])).toEqual(Tensor.from([1, 2, 3, 4, 5]));
    expect(Tensor.stack([structuredClone(a)])).toEqual(Tensor.from([[1, 2]]));
    const c = Tensor.from([1, 2, 3]);
    const i = Tensor.from([1n, 2n]);
    expect(refused(() => Tensor.stack([a, c]))).toMatchObject({
      input: "tensors[1]",
      expected: "shape [2] as tensors[0]",
      got: "[3]",
    });
    expect(refused(() => Tensor.stack<Dtype>([a, i]))).toMatchObject({
      expected: "float32 as tensors[0]",
      got: "int64",
    });
    expect(refused(() => Tensor.concat([tensor, a]))).toMatchObject({
      expected: "shape [rows, 2] as tensors[0]",
      got: "[2]",
    });
    expect(
      refused(() => Tensor.concat([a.split([0, 2])[1].reshape([2]), Tensor.from([1]).reshape([])])).got,
    ).toBe("[]");
    expect(refused(() => Tensor.stack([])).got).toBe("none");
    expect(refused(() => Tensor.stack(a as never)).expected).toBe("an array of tensors");
    expect(refused(() => Tensor.stack([a, [3, 4] as never])).input).toBe("tensors[1]");
    expect(refused(() => Tensor.stack(Array(1))).input).toBe("tensors[0]");
    const deep = Tensor.from(new Uint8Array(1), { shape: [1, 1, 1, 1, 1, 1, 1, 1] });
    expect(refused(() => Tensor.stack([deep])).expected).toBe("a shape of at most 8 dimensions");
  });

  it.each(names())("takes %s apart and puts it together again without losing a bit", (dtype) => {
    const item = fc.array(fc.nat(4), { maxLength: 3 });
    fc.assert(
      fc.property(item, fc.array(fc.nat(4), { minLength: 1, maxLength: 4 }), (shape, sizes) => {
        const rows = sizes.reduce((sum, size) => sum + size, 0);
        const elements = shape.reduce((all, size) => all * size, rows);
        const whole = Tensor.from(filled(dtype, elements), { dtype, shape: [rows, ...shape] });
        const parts = whole.split(sizes);
        expect(parts.map((part) => part.rows)).toEqual(sizes);
        const joined = Tensor.concat(parts);
        expect(joined.shape).toEqual(whole.shape);
        expect(bytesOf(joined)).toEqual(bytesOf(whole));
        if (rows === 0) return;
        const stacked = Tensor.stack(whole.split().map((row) => row.reshape(shape)));
        expect(stacked).toEqual(whole);
        expect(bytesOf(stacked)).toEqual(bytesOf(whole));
        expect(stacked.data.buffer).not.toBe(whole.data.buffer);
      }),
      { numRuns: 30 },
    );
  });

  it("prints what a person wants to see", () => {
    expect(String(tensor)).toBe("float32 [3, 2] 0, 1, 2, 3, 4, 5");
    expect(String(Tensor.from(new Uint8Array(9)))).toBe("uint8 [9] 0, 0, 0, 0, 0, 0, 0, 0, ...");
    expect(String(Tensor.from([0.5, -2], { dtype: "float16" }))).toBe("float16 [2] 0.5, -2");
    expect(String(Tensor.from([0.5], { dtype: "bfloat16" }))).toBe("bfloat16 [1] 0.5");
    expect(String(Tensor.from([true, false]))).toBe("bool [2] true, false");
    expect(String(Tensor.from([2n ** 62n]))).toBe("int64 [1] 4611686018427387904");
    expect(String(Tensor.from([]))).toBe("float32 [0]");
  });

  it("narrows by dtype", () => {
    const unknown: Tensor = tensor;
    expect(unknown.is("float64")).toBe(false);
    if (!unknown.is("float32")) throw new Error("expected float32");
    expectTypeOf(unknown.data).toExtend<Float32Array>();
  });
});
