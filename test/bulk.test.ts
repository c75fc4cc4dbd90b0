/** Long copies into shared memory: every byte in its place, and none beside it. */

import { expect, it } from "vitest";
import { Bulk } from "../src/pipe/bulk.ts";

const OFFSET = 64;
const ROOM = 40_000;
const GUARD = 0xee;

function stage(): { bulk: Bulk; whole: Uint8Array } {
  const memory = new SharedArrayBuffer(OFFSET + ROOM + 64);
  const whole = new Uint8Array(memory).fill(GUARD);
  return { bulk: new Bulk(memory, OFFSET, ROOM), whole };
}

/** Numbers whose bytes all differ from their neighbours' and from the guard. */
const data = Uint8Array.from({ length: 40_000 }, (_, i) => (i * 7 + (i >> 8)) % 233);

it.each([0, 1, 7, 4095, 4096, 4097, 16_384, 39_990])("copies %i bytes", (count) => {
  for (const [fromAt, at] of [[0, 0], [3, 0], [0, 5], [9, 10]] as const) {
    if (fromAt + count > data.length || at + count > ROOM) continue;
    const { bulk, whole } = stage();
    bulk.copy(data, fromAt, at, count);
    const begin = OFFSET + at;
    expect(whole.subarray(begin, begin + count)).toEqual(data.subarray(fromAt, fromAt + count));
    expect(whole.subarray(0, begin).every((byte) => byte === GUARD)).toBe(true);
    expect(whole.subarray(begin + count).every((byte) => byte === GUARD)).toBe(true);
  }
}); // prettier-ignore

it("keeps the bits of signaling NaNs", () => {
  const bits = new Uint32Array(4096).fill(0x7fa0_0001);
  const { bulk, whole } = stage();
  bulk.copy(new Float32Array(bits.buffer), 0, 0, bits.byteLength);
  expect(new Uint32Array(whole.slice(OFFSET, OFFSET + bits.byteLength).buffer)).toEqual(bits);
});

it("copies from a view within a buffer, and from shared memory", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(data.length));
  shared.set(data);
  for (const buffer of [data.buffer, shared.buffer]) {
    const { bulk, whole } = stage();
    bulk.copy(new Float32Array(buffer, 400, 2000), 80, 8, 7920);
    expect(whole.slice(OFFSET + 8, OFFSET + 8 + 7920)).toEqual(data.slice(480, 480 + 7920));
  }
});

it("asks nothing of the caller's array that its owner could have replaced", () => {
  const liar = new Uint8Array(data);
  const lies = {
    buffer: { value: new ArrayBuffer(40_000) },
    byteOffset: { value: 100 },
    length: { value: 1 },
  };
  Object.defineProperties(liar, lies);
  const { bulk, whole } = stage();
  bulk.copy(liar, 0, 0, 8192);
  expect(whole.slice(OFFSET, OFFSET + 8192)).toEqual(data.slice(0, 8192));
});

it("refuses to write beyond its memory", () => {
  const { bulk, whole } = stage();
  expect(() => bulk.copy(data, 0, ROOM - 5000, 5001)).toThrow(RangeError);
  expect(whole[OFFSET + ROOM]).toBe(GUARD);
});

it("copies plainly in Node alone, where that pays", () => {
  const { bulk } = stage();
  const isNode = process.versions.bun === undefined && !("Deno" in globalThis);
  expect(bulk.pays(4096)).toBe(isNode);
  expect(bulk.pays(4095)).toBe(false);
});
