import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "../src/errors.ts";
import { parseConfig } from "../src/pipe/config.ts";
import { dtypes, names } from "../src/pipe/dtype.ts";
import { clearScratch, newScratch, readRequest } from "../src/pipe/request.ts";
import type { RequestScratch } from "../src/pipe/request.ts";
import { modelSpec } from "../src/pipe/spec.ts";
import type { ModelSpec } from "../src/pipe/spec.ts";
import { Tensor } from "../src/pipe/tensor.ts";
import { caught, thrownClass } from "./caught.ts";

interface Input {
  name: string;
  dtype?: number;
  shape: number[];
}

function model(inputs: Input[], config: object = {}, batch = "dynamic"): ModelSpec {
  const description = {
    backend: "OnnxTensor",
    engine: "",
    library: "",
    batch,
    batch_size: 1,
    inputs: inputs.map((input) => ({ dtype: 1, ...input })),
    outputs: [{ name: "y", dtype: 1, shape: [1] }],
  };
  return modelSpec(description, parseConfig({ model: "m", max_queue: 16, ...config }));
}

const pair = model([{ name: "x", shape: [2, 3] }]);
const open = model([{ name: "x", shape: [3, -1] }], { max: "4x3x8", min: "1x3x2" });
const two = model([
  { name: "ids", dtype: 7, shape: [2] },
  { name: "mask", dtype: 9, shape: [] },
]);
const whole = model([{ name: "x", shape: [2, 3] }], {}, "none");

function read(input: unknown, spec: ModelSpec = pair): RequestScratch {
  const scratch = newScratch();
  readRequest(input, spec, scratch);
  return scratch;
}

const refused = (input: unknown, spec?: ModelSpec): InputError => caught(InputError, () => read(input, spec));
const refusedData = (data: unknown, spec?: ModelSpec): InputError => refused({ data }, spec);

/** Bytes of all rows of input `k`, as they would go into slots. */
function rowsOf(scratch: RequestScratch, k = 0): number[][] {
  const elements = scratch.elements[k];
  return Array.from({ length: scratch.rows }, (_, row) =>
    bytesOf(scratch.sources[k].subarray(row * elements, (row + 1) * elements)),
  );
}

/** ES2024, which the type libraries here do not have yet. */
interface Resizable extends ArrayBuffer {
  resize(bytes: number): void;
}
const ResizableBuffer = ArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => Resizable;

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): number[] {
  return Array.from(new Uint8Array(buffer, byteOffset, byteLength));
}

describe("a typed array for the only input", () => {
  it("is taken as it is, with the model's shape", () => {
    for (const rows of [1, 2, 16]) {
      const data = Float32Array.from({ length: rows * 6 }, (_, i) => i);
      const scratch = read({ data });
      expect(scratch.rows).toBe(rows);
      expect(scratch.sources).toEqual([data]);
      expect(scratch.sources[0]).toBe(data);
      expect(scratch.elements).toEqual([6]);
      expect(rowsOf(scratch).flat()).toEqual(bytesOf(data));
    }
  });

  it.each(names())("is copied bit for bit: %s", (dtype) => {
    const spec = model([{ name: "x", dtype: dtypes[dtype].number, shape: [3] }]);
    const bytes = Uint8Array.from({ length: 6 * dtypes[dtype].bytes }, (_, i) => (i * 73 + 5) & 0xff);
    const data = new dtypes[dtype].carrier(bytes.buffer);
    const rows = rowsOf(read({ data }, spec));
    expect(rows.flat()).toEqual(Array.from(bytes));
    expect(rows).toHaveLength(2);
    const tensor = Tensor.from(data, { dtype, shape: [2, 3] });
    expect(rowsOf(read({ data: tensor }, spec))).toEqual(rows);
    expect(rowsOf(read({ data: { x: structuredClone(tensor) } }, spec))).toEqual(rows);
  });

  it("keeps NaN, infinities, denormals and -0", () => {
    const data = new Float32Array(
      new Uint32Array([0x7fc00001, 0xff800000, 1, 0x80000000, 0xffc12345, 0]).buffer,
    );
    expect(rowsOf(read({ data })).flat()).toEqual(bytesOf(data));
  });

  it("may begin anywhere in its buffer, pooled Buffers too", () => {
    const data = Float32Array.from({ length: 20 }, (_, i) => i).subarray(3, 9);
    expect(rowsOf(read({ data }))).toEqual([bytesOf(data)]);
    const bytes = model([{ name: "x", dtype: 2, shape: [3] }]);
    const pooled = Buffer.from("abc");
    expect(rowsOf(read({ data: pooled }, bytes))).toEqual([[97, 98, 99]]);
    expect(rowsOf(read({ data: new Uint8ClampedArray([1, 2, 3]) }, bytes))).toEqual([[1, 2, 3]]);
  });

  it("may lie in shared or resizable memory", () => {
    const shared = new Float32Array(new SharedArrayBuffer(24));
    expect(read({ data: shared }).sources[0]).toBe(shared);
    const buffer = new ResizableBuffer(24, { maxByteLength: 48 });
    const tracking = new Float32Array(buffer);
    expect(read({ data: tracking }).rows).toBe(1);
    buffer.resize(48);
    expect(read({ data: tracking }).rows).toBe(2);
    buffer.resize(20);
    expect(refusedData(tracking).got).toBe("Float32Array of 5");
    const fixed = new Float32Array(buffer, 4, 4);
    buffer.resize(8);
    expect(refusedData(fixed)).toMatchObject({ expected: "at least 1 row", got: "0 rows" });
  });

  it("is of fixed length afterwards, whatever another thread does to the buffer", () => {
    const buffer = new SharedArrayBuffer(24, { maxByteLength: 4800 });
    const data = new Float32Array(buffer).fill(7);
    const values = [{ data }, { data: Tensor.from(data, { shape: [1, 2, 3] }) }].map((input) => read(input));
    buffer.grow(4800);
    for (const scratch of values) {
      expect(scratch.sources[0]).toHaveLength(6);
      expect(rowsOf(scratch)).toEqual([bytesOf(new Float32Array(6).fill(7))]);
    }
  });

  it("counts for what it is, not for what it says", () => {
    const data = new Float32Array(6);
    Object.defineProperties(data, { length: { value: 12 }, constructor: { value: Float64Array } });
    expect(read({ data }).rows).toBe(1);
    class Mine extends Float32Array {
      override subarray(): never {
        throw new Error("called");
      }
    }
    const mine = read({ data: new Mine(12).fill(3) });
    expect(mine.rows).toBe(2);
    expect(rowsOf(mine, 0)).toEqual([
      bytesOf(new Float32Array(6).fill(3)),
      bytesOf(new Float32Array(6).fill(3)),
    ]);
    expect(refusedData(Object.create(Float32Array.prototype)).got).toBe(
      "none in an instance of Float32Array",
    );
    expect(refusedData(Object.setPrototypeOf(new Float64Array(6), Float32Array.prototype)).got).toBe(
      "Float64Array of 6",
    );
  });

  it("may be a Float16Array for float16", ({ skip }) => {
    const { Float16Array } = globalThis as { Float16Array?: new (values: number[]) => ArrayBufferView };
    if (Float16Array === undefined) return skip("this runtime has no Float16Array");
    const spec = model([{ name: "x", dtype: 10, shape: [2] }]);
    const scratch = read({ data: new Float16Array([1, -2]) }, spec);
    expect(scratch.sources[0]).toEqual(new Uint16Array([0x3c00, 0xc000]));
  });

  it("is forgotten when the scratch is cleared", () => {
    const scratch = read({ data: new Float32Array(6) });
    clearScratch(scratch);
    expect(scratch.sources).toEqual([new Uint8Array(0)]);
  });
});

describe("a Tensor", () => {
  const tensor = (shape: number[]): Tensor =>
    Tensor.from(new Float32Array(shape.reduce((all, dim) => all * dim, 1)), { shape });

  it("has the model's shape, rows first", () => {
    const scratch = read({ data: tensor([4, 2, 3]) });
    expect(scratch).toMatchObject({ rows: 4, elements: [6], dims: [] });
    expect(read({ data: tensor([2, 3]) }, whole)).toMatchObject({ rows: 1, elements: [6] });
    expect(read({ data: new Float32Array(6) }, whole)).toMatchObject({ rows: 1, elements: [6] });
  });

  it("says what its open dimensions are", () => {
    expect(read({ data: tensor([2, 3, 5]) }, open)).toMatchObject({ rows: 2, elements: [15], dims: [5] });
    expect(read({ data: tensor([1, 3, 8]) }, open)).toMatchObject({ rows: 1, elements: [24], dims: [8] });
    const images = model(
      [
        { name: "a", shape: [-1, 2, -1] },
        { name: "b", shape: [-1] },
      ],
      { max: "4x5x2x6,4x7" },
    );
    const scratch = newScratch();
    readRequest({ data: { a: tensor([1, 5, 2, 6]), b: tensor([1, 7]) } }, images, scratch);
    readRequest({ data: { b: tensor([3, 1]), a: tensor([3, 2, 2, 0]) } }, images, scratch);
    expect(scratch).toMatchObject({ rows: 3, elements: [0, 1], dims: [2, 0, 1] });
    const flat = model([{ name: "x", shape: [-1, 2] }], { max: "8x2" }, "none");
    expect(read({ data: tensor([5, 2]) }, flat)).toMatchObject({ rows: 1, elements: [10], dims: [5] });
  });

  it("is the way to give items without elements", () => {
    const empty = model([{ name: "x", shape: [0, 4] }]);
    expect(read({ data: tensor([3, 0, 4]) }, empty)).toMatchObject({ rows: 3, elements: [0] });
    expect(refusedData(new Float32Array(0), empty)).toMatchObject({
      expected: "a Tensor of shape [rows, 0, 4], because an item has no elements",
      got: "a bare Float32Array of 0",
    });
    const detached = new Float32Array(0);
    const dead = Tensor.from(detached, { shape: [3, 0, 4] });
    structuredClone(detached, { transfer: [detached.buffer] });
    expect(refusedData(dead, empty).got).toBe("a Float32Array whose buffer is detached");
  });

  it.each<[number[], ModelSpec, string, string]>([
    [[2, 3], pair, "shape [rows, 2, 3]", "[2, 3]; reshape it to [1, 2, 3]"],
    [[6], pair, "shape [rows, 2, 3]", "[6]"],
    [[], pair, "shape [rows, 2, 3]", "[]"],
    [[1, 1, 2, 3], pair, "shape [rows, 2, 3]", "[1, 1, 2, 3]"],
    [[1, 3, 2], pair, "shape [rows, 2, 3]", "[1, 3, 2]"],
    [[0, 2, 3], pair, "at least 1 row", "0 rows"],
    [[17, 2, 3], pair, "at most max_queue, 16 rows", "17 rows"],
    [[1, 2, 3], whole, "shape [2, 3]", "[1, 2, 3]"],
    [[3, 2], whole, "shape [2, 3]", "[3, 2]"],
    [[1, 3, 9], open, "shape [rows, 3, 2..8]", "[1, 3, 9]"],
    [[1, 3, 1], open, "shape [rows, 3, 2..8]", "[1, 3, 1]"],
    [[1, 2, 8], open, "shape [rows, 3, 2..8]", "[1, 2, 8]"],
    [[3, 8], open, "shape [rows, 3, 2..8]", "[3, 8]; reshape it to [1, 3, 8]"],
  ])("of shape %o is refused", (shape, spec, expected, got) => {
    const error = refusedData(tensor(shape), spec);
    expect(error).toMatchObject({ input: "x", expected, got });
    expect(error.message).toBe(`Cannot accept input "x": expected ${expected}, got ${got}`);
    expect(refusedData({ x: tensor(shape) }, spec).message).toBe(error.message);
  });

  it.each<[object, string, string]>([
    [{ shape: [1n, 2, 3] }, "dimension 0 of the shape as an integer of at least 0", "1n"],
    [{ shape: [1, 2.5, 3] }, "dimension 1 of the shape as an integer of at least 0", "2.5"],
    [{ shape: [-1, 2, 3] }, "dimension 0 of the shape as an integer of at least 0", "-1"],
    [{ shape: [1, 2, "3"] }, "dimension 2 of the shape as an integer of at least 0", '"3"'],
    [{ shape: [1, 2, NaN] }, "dimension 2 of the shape as an integer of at least 0", "NaN"],
    [{ shape: Array(3) }, "dimension 0 of the shape as an integer of at least 0", "undefined"],
    [{ shape: [2 ** 60, 2, 3] }, "at most max_queue, 16 rows", "1152921504606847000 rows"],
    [{ shape: [1, 2, 2 ** 60] }, "shape [rows, 2, 3]", "[1, 2, 1152921504606847000]"],
    [{ shape: "1,2,3" }, "a shape as an array of integers", '"1,2,3"'],
    [{ shape: null }, "a shape as an array of integers", "null"],
    [{ shape: new Int32Array([1, 2, 3]) }, "a shape as an array of integers", "Int32Array of 3"],
    [{ shape: Array(9).fill(1) }, "a shape of at most 8 dimensions", "9"],
    [{ shape: [2, 2, 3] }, "12 elements for shape [2, 2, 3]", "Float32Array of 6"],
    [{ dtype: "float64" }, "float32 (Float32Array)", "a Tensor of float64"],
    [{ dtype: "f32" }, "float32 (Float32Array)", 'dtype "f32"'],
    [{ dtype: undefined }, "float32 (Float32Array)", "dtype undefined"],
    [{ dtype: { toString: () => "float32" } }, "float32 (Float32Array)", "dtype an object"],
    [{ data: new Float64Array(6) }, "float32 (Float32Array)", "Float64Array of 6"],
    [{ data: new DataView(new ArrayBuffer(24)) }, "float32 (Float32Array)", "DataView of 24"],
    [{ data: [1, 2, 3, 4, 5, 6] }, "float32 (Float32Array)", "an array of 6"],
    [{ data: null }, "float32 (Float32Array)", "null"],
  ])("that was not made by Tensor.from is checked too: %o", (fields, expected, got) => {
    const like = { data: new Float32Array(6), shape: [1, 2, 3], dtype: "float32" };
    expect(read({ data: like }).rows).toBe(1);
    expect(refusedData({ ...like, ...fields })).toMatchObject({ input: "x", expected, got });
  });

  it("may have shapes of any size: rows and elements are those of exact arithmetic", () => {
    const dim = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.nat(2 ** 31 - 1));
    const scratch = newScratch();
    fc.assert(
      fc.property(fc.array(dim, { maxLength: 4 }), fc.nat(40), (shape, length) => {
        const data = { data: new Float32Array(length), shape, dtype: "float32" };
        const [rows, channels, width] = shape;
        const fits =
          shape.length === 3 &&
          channels === 3 &&
          width >= 2 &&
          width <= 8 &&
          rows >= 1 &&
          rows <= 16 &&
          BigInt(rows) * 3n * BigInt(width) === BigInt(length);
        if (!fits) {
          caught(InputError, () => readRequest({ data }, open, scratch));
          return;
        }
        readRequest({ data }, open, scratch);
        expect(scratch).toMatchObject({ rows, elements: [3 * width], dims: [width] });
      }),
      {
        numRuns: 2000,
        examples: [
          [[2, 3, 4], 24],
          [[1, 3, 8], 24],
          [[4, 3, 2], 24],
          [[1, 3, 2], 6],
        ],
      },
    );
  });
});

describe("a record by name", () => {
  const ids = new BigInt64Array([1n, 2n, 3n, 4n]);
  const mask = new Uint8Array([1, 0]);

  it("gives each input its data, in the model's order", () => {
    const scratch = read({ data: { mask, ids: Tensor.from(ids, { shape: [2, 2] }) } }, two);
    expect(scratch.rows).toBe(2);
    expect(scratch.sources[0]).toBe(ids);
    expect(scratch.sources[1]).toBe(mask);
    expect(scratch.elements).toEqual([2, 1]);
    expect(rowsOf(scratch, 1)).toEqual([[1], [0]]);
    expect(read({ data: { x: new Float32Array(6) } }).rows).toBe(1);
    expect(read({ data: Object.assign(Object.create(null), { ids, mask }) }, two).rows).toBe(2);
  });

  it("may have inputs with any name", () => {
    const odd = ["__proto__", "constructor", "data", "shape", "dtype"];
    const spec = model(odd.map((name) => ({ name, shape: [] })));
    const data = Object.fromEntries(odd.map((name, i) => [name, new Float32Array([i])]));
    expect(read({ data }, spec).sources.map(([value]) => value)).toEqual([0, 1, 2, 3, 4]);
    const proto = model([{ name: "__proto__", shape: [] }]);
    expect(refusedData({}, proto).input).toBe("__proto__");
  });

  it.each<[unknown, string, string, string]>([
    [{ ids }, "mask", 'a value for each of "ids", "mask"', "none in an object"],
    [{}, "ids", 'a value for each of "ids", "mask"', "none in an object"],
    [Object.create({ ids, mask }), "ids", 'a value for each of "ids", "mask"', "none in an object"],
    [{ ids, mask, extra: mask }, "extra", 'a name of the model\'s, "ids", "mask"', "an unknown one"],
    [{ ids, Mask: mask }, "Mask", 'a name of the model\'s, "ids", "mask"', "an unknown one"],
    [{ ids, mask: undefined }, "mask", "a Tensor or typed array", "undefined"],
    [{ ids, mask: [1, 0] }, "mask", "a Tensor or typed array", "an array of 2"],
    [{ ids, mask: true }, "mask", "a Tensor or typed array", "true"],
    [{ ids, mask: new Int8Array(2) }, "mask", "bool (Uint8Array)", "Int8Array of 2"],
    [{ ids, mask: new Uint8Array(1) }, "mask", '2 rows as in "ids"', "1 row"],
    [
      { ids: ids.subarray(0, 3), mask },
      "ids",
      "a multiple of 2 elements for shape [rows, 2]",
      "BigInt64Array of 3",
    ],
    [ids, "data", 'an object with the inputs "ids", "mask"', "BigInt64Array of 4"],
    [Tensor.from(ids), "data", 'an object with the inputs "ids", "mask"', "an instance of Tensor"],
    [[ids, mask], "data", 'an object with the inputs "ids", "mask"', "an array of 2"],
    ["ids", "data", 'an object with the inputs "ids", "mask"', '"ids"'],
  ])("%o is refused", (data, input, expected, got) => {
    expect(refusedData(data, two)).toMatchObject({ input, expected, got });
  });
});

describe("other data", () => {
  it.each<[unknown, string, string]>([
    [null, "a Tensor or typed array", "null"],
    [1, "a Tensor or typed array", "1"],
    ["AAAA", "a Tensor or typed array", '"AAAA"'],
    [[1, 2, 3, 4, 5, 6], "a Tensor or typed array", "an array of 6"],
    [[[1, 2, 3]], "a Tensor or typed array", "an array of 1"],
    [[new Float32Array(6)], "a Tensor or typed array", "an array of 1"],
    [
      Promise.resolve(new Float32Array(6)),
      "a Tensor or typed array",
      "a Promise, which has to be awaited first",
    ],
    [new ArrayBuffer(24), "a Tensor or typed array", "an instance of ArrayBuffer"],
    [new DataView(new ArrayBuffer(24)), "a Tensor or typed array", "DataView of 24"],
    [() => new Float32Array(6), "a Tensor or typed array", "a function"],
    [Symbol("x"), "a Tensor or typed array", "Symbol(x)"],
    [6n, "a Tensor or typed array", "6n"],
    [new Float64Array(6), "float32 (Float32Array)", "Float64Array of 6"],
    [new Uint8Array(24), "float32 (Float32Array)", "Uint8Array of 24"],
    [new Float32Array(0), "at least 1 row", "0 rows"],
    [new Float32Array(5), "a multiple of 6 elements for shape [rows, 2, 3]", "Float32Array of 5"],
    [new Float32Array(6 * 17), "at most max_queue, 16 rows", "17 rows"],
  ])("%o is refused", (data, expected, got) => {
    expect(refusedData(data)).toMatchObject({ input: "x", expected, got });
  });

  it("a detached buffer is called by that name", () => {
    const data = new Float32Array(6);
    const tensor = Tensor.from(data, { shape: [1, 2, 3] });
    structuredClone(data, { transfer: [data.buffer] });
    expect(refusedData(data).got).toBe("a Float32Array whose buffer is detached");
    expect(refusedData(tensor).got).toBe("a Float32Array whose buffer is detached");
    expect(refusedData({ x: data }).message).toContain("buffer is detached");
  });

  it("a bare typed array is no shape for open dimensions", () => {
    expect(refusedData(new Float32Array(6), open)).toMatchObject({
      expected: "a Tensor of shape [rows, 3, 2..8], because the model leaves dimensions open",
      got: "a bare Float32Array of 6",
    });
  });

  it("a whole batch is no item of a model without a batch dimension", () => {
    expect(refusedData(new Float32Array(12), whole)).toMatchObject({
      expected: "6 elements for shape [2, 3]",
      got: "Float32Array of 12",
    });
    expect(refusedData(new Float32Array(0), whole).got).toBe("Float32Array of 0");
  });
});

describe("the input object", () => {
  const data = new Float32Array(6);

  it.each<[unknown, string, string]>([
    [undefined, "an object { data }", "undefined"],
    [null, "an object { data }", "null"],
    ["data", "an object { data }", '"data"'],
    [() => ({ data }), "an object { data }", "a function"],
    [{}, "an object { data }", "an object without data"],
    [{ data: undefined }, "an object { data }", "an object without data"],
    [[{ data }], "an object { data }", "an array of 1"],
    [new Map([["data", data]]), "an object { data }", "an instance of Map without data"],
    [data, "an object { data }", "Float32Array of 6"],
    [Tensor.from(data), "an object { data }", "an instance of Tensor"],
    [Object.freeze({ data }), "an object that can take a result", "a frozen or non-extensible object"],
    [
      Object.seal({ data, result: 1 }),
      "an object that can take a result",
      "a frozen or non-extensible object",
    ],
    [
      Object.preventExtensions({ data }),
      "an object that can take a result",
      "a frozen or non-extensible object",
    ],
    [
      Object.defineProperty({ data }, "result", { value: 1 }),
      "an object whose result can be set",
      "one where it is fixed or inherited",
    ],
    [
      Object.assign(Object.create({ result: 1 }), { data }),
      "an object whose result can be set",
      "one where it is fixed or inherited",
    ],
  ])("%o is refused", (input, expected, got) => {
    expect(refused(input)).toMatchObject({ input: "input", expected, got });
  });

  it("loses a stale result at once, also when it is refused", () => {
    const input = { data, result: 1 as unknown, mine: 2 };
    read(input);
    expect(input).toEqual({ data, mine: 2 });
    const bad = { data: new Float32Array(5), result: 1 };
    expect(refused(bad).input).toBe("x");
    expect("result" in bad).toBe(false);
  });

  it("may be any object with data, a getter too", () => {
    class Job {
      get data(): Float32Array {
        return data;
      }
    }
    expect(read(new Job()).rows).toBe(1);
    expect(read(Object.assign(() => 1, {}) && Object.assign(Object.create(null), { data })).rows).toBe(1);
  });

  it("is read once, each property, and only as far as needed", () => {
    const reads: string[] = [];
    const spy = <T extends object>(target: T, path: string): T =>
      new Proxy(target, {
        get(object, key) {
          reads.push(`${path}.${String(key)}`);
          return Reflect.get(object, key) as unknown;
        },
      });
    const x = { data, shape: spy([1, 2, 3], "shape"), dtype: "float32" };
    read(spy({ data: spy({ x: spy(x, "x") }, "data"), other: 1, [Symbol("s")]: 2 }, "input"));
    expect(reads.toSorted()).toEqual([
      "data.x",
      "input.data",
      "shape.0",
      "shape.1",
      "shape.2",
      "shape.length",
      "x.data",
      "x.dtype",
      "x.shape",
    ]);
  });

  it("cannot change what was checked", () => {
    const first = new Float32Array(12);
    const spec = model([
      { name: "a", shape: [6] },
      { name: "b", shape: [6] },
    ]);
    const hostile = {
      a: first,
      get b() {
        structuredClone(first, { transfer: [first.buffer] });
        return new Float32Array(12);
      },
    };
    expect(refusedData(hostile, spec)).toMatchObject({
      input: "a",
      got: "a Float32Array whose buffer is detached",
    });
    const buffer = new ResizableBuffer(48, { maxByteLength: 96 });
    const shrinking = {
      a: new Float32Array(buffer),
      get b() {
        buffer.resize(24);
        return new Float32Array(12);
      },
    };
    expect(refusedData(shrinking, spec)).toMatchObject({ input: "b", expected: '1 row as in "a"' });
  });

  it("may make another request while it is read", () => {
    const scratch = newScratch();
    const [a, b] = [new Float32Array(6).fill(1), new Float32Array(12).fill(2)];
    const outer = {
      data: {
        get x() {
          readRequest({ data: { x: b } }, pair, scratch);
          expect(scratch.sources[0]).toBe(b);
          return { data: a, shape: [1, 2, 3], dtype: "float32" };
        },
      },
    };
    readRequest(outer, pair, scratch);
    expect(scratch.rows).toBe(1);
    expect(scratch.sources[0]).toBe(a);
    const last = {
      data: {
        ids: new BigInt64Array([1n, 2n]),
        get mask() {
          readRequest({ data: { ids: new BigInt64Array(4), mask: new Uint8Array(2) } }, two, scratch);
          return new Uint8Array([1]);
        },
      },
    };
    readRequest(last, two, scratch);
    expect(scratch).toMatchObject({ rows: 1, reading: false });
    expect(scratch.sources).toEqual([new BigInt64Array([1n, 2n]), new Uint8Array([1])]);
  });

  it("may throw, and that is the cause", () => {
    const cause = new RangeError("no");
    const fail = (): never => {
      throw cause;
    };
    const getter = (key: string, object: object): object =>
      Object.defineProperty(object, key, { get: fail, enumerable: true });
    const like = { data, shape: [1, 2, 3], dtype: "float32" };
    const hostile = [
      getter("data", {}),
      { data: getter("x", {}) },
      ...["data", "shape", "dtype"].map((key) => ({ data: getter(key, { ...like }) })),
      ...["get", "has", "isExtensible"].map((trap) => new Proxy({ data }, { [trap]: fail })),
      new Proxy({ data, result: 1 }, { deleteProperty: fail }),
      { data: new Proxy({}, { ownKeys: fail }) },
      { data: { ...like, shape: new Proxy([1, 2, 3], { get: fail }) } },
    ];
    for (const input of hostile) {
      const error = refused(input);
      expect(error).toMatchObject({ input: "data", expected: "properties that can be read" });
      expect(error.cause).toBe(cause);
    }
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    for (const input of [
      revoked.proxy,
      { data: revoked.proxy },
      { data: { ...like, data: revoked.proxy } },
    ]) {
      refused(input);
    }
    const thrown = new Proxy({}, { has: fail, getPrototypeOf: fail });
    const throwing = {
      get data(): never {
        throw thrown as Error;
      },
    };
    expect(refused(throwing).cause).toBe(thrown);
  });

  it("never leads to anything but rows or an InputError", () => {
    const value = fc.anything({
      withTypedArray: true,
      withBigInt: true,
      withNullPrototype: true,
      withMap: true,
    });
    const like = fc.record(
      {
        data: value,
        shape: fc.oneof(value, fc.array(fc.nat(8))),
        dtype: fc.oneof(value, fc.constantFrom(...names())),
      },
      { requiredKeys: [] },
    );
    const tensorData = fc.oneof(value, like, fc.record({ x: like }), fc.record({ ids: value, mask: like }));
    const input = fc.oneof(value, fc.record({ data: tensorData }));
    const scratch = newScratch();
    fc.assert(
      fc.property(input, fc.constantFrom(pair, open, two, whole), (request, spec) => {
        const outcome = thrownClass(() => readRequest(request, spec, scratch));
        expect(["nothing", "InputError"]).toContain(outcome);
        const lengths = scratch.sources.slice(0, spec.inputs.length).map((source) => source.length);
        const wanted = scratch.elements
          .slice(0, spec.inputs.length)
          .map((elements) => scratch.rows * elements);
        expect(outcome === "InputError" ? wanted : lengths).toEqual(wanted);
      }),
      { numRuns: 3000 },
    );
  });
});
