/** Input data that comes in pieces: the same answers as for a typed array, however the bytes are cut. */

import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { InputError, Tensor } from "trtpipe";
import type { ByteChunks, Dtype, Pipe, PipeInput } from "trtpipe";
import { carriedDtypes, identityModel, openShapeModel, sumAndProductModel } from "../models.ts";
import { opener, rejection, within } from "../support/pipes.ts";
import { counting } from "../support/tensors.ts";

const open = opener(afterAll);

/** The bytes of a tensor, cut at these places. */
function cut(tensor: Tensor, places: readonly number[]): Uint8Array[] {
  const { buffer, byteOffset, byteLength } = tensor.data;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  const ends = [...places.map((place) => place % (byteLength + 1)), byteLength].toSorted((a, b) => a - b);
  return ends.map((end, i) => bytes.slice(i === 0 ? 0 : ends[i - 1], end));
}

async function answer(models: Pipe, data: PipeInput["data"]): Promise<PipeInput["result"]> {
  return (await within(models({ data }), "the call")).result;
}

describe("byte chunks", () => {
  it.each(carriedDtypes)("carry %s, with and without a shape", async (dtype) => {
    const models = await open({ backend: "OnnxTensor", model: identityModel(dtype), max: 4 });
    const tensor = counting([3, 4], dtype);
    const pieces = cut(tensor, [1, 2, 5, 9]);
    expect(await answer(models, pieces)).toEqual(tensor);
    expect(await answer(models, { data: pieces, shape: [3, 4], dtype })).toEqual(tensor);
  });

  it("may end anywhere, also within an element and between rows that lie apart", async () => {
    const models = await open({ backend: "OnnxTensor", model: openShapeModel(), max: "4x3x8", max_queue: 7 });
    const cases = fc.record({
      rows: fc.integer({ min: 1, max: 7 }),
      width: fc.integer({ min: 1, max: 8 }),
      places: fc.array(fc.nat(7 * 3 * 8 * 4), { maxLength: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, width, places }) => {
        const tensor = counting([rows, 3, width]);
        const data = { data: cut(tensor, places), shape: [rows, 3, width], dtype: "float32" as const };
        expect(await answer(models, data)).toEqual(tensor);
      }),
      { numRuns: 200 },
    );
  });

  it("go by name, beside typed arrays", async () => {
    const models = await open({ backend: "OnnxTensor", model: sumAndProductModel(), max: 4 });
    const a = Tensor.from([[1, 2, 3, 4]]);
    const b = new Float32Array([10, 20, 30, 40]);
    const { sum } = (await answer(models, { a: cut(a, [3]), b })) as Record<string, Tensor>;
    expect(sum.data).toEqual(new Float32Array([11, 22, 33, 44]));
  });

  it("are copied before the call returns, Buffers and views of larger memory too", async () => {
    const models = await open({ backend: "(shape=4)Identity" });
    const memory = Buffer.from(new Float32Array([9, 1, 2, 3, 4, 9]).buffer);
    const input = { data: [memory.subarray(4, 9), memory.subarray(9, 20)] };
    const answered = models(input);
    memory.fill(0);
    await within(answered, "the call");
    expect((input as PipeInput).result).toEqual(Tensor.from([[1, 2, 3, 4]]));
  });
});

describe("wrong chunks", () => {
  const ask = async (data: unknown): Promise<InputError> => {
    const models = await open({ backend: "(shape=4)Identity", max: 4 });
    const error = await rejection(models({ data: data as ByteChunks }));
    expect(error).toBeInstanceOf(InputError);
    return error as InputError;
  };

  it("are refused with what was expected, and what came", async () => {
    const bytes = new Uint8Array(17);
    expect(await ask([bytes])).toMatchObject({
      expected: "a multiple of 4 elements for shape [rows, 4]",
      got: "17 bytes in 1 chunk",
    });
    const dtype: Dtype = "float32";
    expect(await ask({ data: [bytes, bytes], shape: [2, 4], dtype })).toMatchObject({
      expected: "32 bytes for shape [2, 4] of float32",
      got: "34 bytes in 2 chunks",
    });
    expect((await ask({ data: [bytes], shape: [1, 4], dtype: "int32" })).got).toBe("a Tensor of int32");
    expect((await ask([])).got).toBe("0 rows");
    expect((await ask({ data: [], shape: [0, 4], dtype })).got).toBe("0 rows");
  });

  it("are refused where one is no Uint8Array", async () => {
    expect((await ask([new Uint8Array(8), new Float32Array(2)])).got).toBe("an array of 2");
    expect((await ask([1, 2, 3, 4])).expected).toBe("a Tensor or typed array");
    expect((await ask({ data: [1, 2], shape: [1, 4], dtype: "float32" })).got).toBe("an array of 2");
  });

  it("are refused where a buffer is gone", async () => {
    const gone = new Uint8Array(8);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    expect((await ask([new Uint8Array(16), gone])).got).toBe("a Uint8Array whose buffer is detached");
  });
});
