/** Long copies into shared memory: every byte in its place, and none beside it. */

import { Buffer } from "node:buffer";
import { expect, it } from "vitest";
import { TP_COPY_STREAM } from "../src/native/abi.ts";
import { loadNative } from "../src/native/load.ts";
import { Bulk } from "../src/pipe/bulk.ts";

const OFFSET = 64;
const ROOM = 200_000;
const GUARD = 0xee;
const native = loadNative();
const guard = new Uint8Array(OFFSET + ROOM + 64).fill(GUARD);
const isGuard = (bytes: Uint8Array): boolean => Buffer.compare(bytes, guard.subarray(0, bytes.length)) === 0;

/** `deviceBytes`: what a device reads by itself. */
function stage(deviceBytes = 0): { bulk: Bulk; whole: Uint8Array } {
  const memory = new SharedArrayBuffer(OFFSET + ROOM + 64);
  const whole = new Uint8Array(memory).fill(GUARD);
  return { bulk: new Bulk(memory, OFFSET, ROOM, native, deviceBytes), whole };
}

const isDeno = "Deno" in globalThis;
const isNode = process.versions.bun === undefined && !isDeno;

/** Numbers whose bytes all differ from their neighbours' and from the guard. */
const data = Uint8Array.from({ length: ROOM }, (_, i) => (i * 7 + (i >> 8)) % 233);

const lengths = [0, 1, 7, 4095, 4096, 16_383, 16_384, 65_535, 65_536, 65_537, 199_990];

it.each(lengths)("copies %i bytes, plainly and past the caches", (count) => {
  const places = [[0, 0], [3, 0], [0, 5], [9, 10]] as const;
  for (const [fromAt, at] of places) {
    for (const deviceBytes of [0, 100_000, ROOM]) {
      const { bulk, whole } = stage(deviceBytes);
      bulk.copy(data, fromAt, at, count);
      const begin = OFFSET + at;
      const copied = whole.subarray(begin, begin + count);
      expect(Buffer.compare(copied, data.subarray(fromAt, fromAt + count))).toBe(0);
      expect(isGuard(whole.subarray(0, begin))).toBe(true);
      expect(isGuard(whole.subarray(begin + count))).toBe(true);
    }
  }
}); // prettier-ignore

it("goes past the caches where a device reads all of it, from 64 KiB on", () => {
  const flags: number[] = [];
  const copyIn = (to: Uint8Array, at: number, from: Uint8Array, flag: number): void => {
    to.set(from, at);
    flags.push(flag);
  };
  const bulk = new Bulk(new SharedArrayBuffer(ROOM), 0, ROOM, { copyIn }, 150_000);
  for (const [at, count] of [[0, 65_536], [84_464, 65_536], [0, 150_000]]) bulk.copy(data, 0, at, count);
  expect(flags.splice(0)).toEqual([TP_COPY_STREAM, TP_COPY_STREAM, TP_COPY_STREAM]);
  for (const [at, count] of [[0, 65_535], [84_465, 65_536], [150_000, 40_000]]) bulk.copy(data, 0, at, count);
  expect(flags.splice(0)).toEqual(isDeno ? [0, 0, 0] : []);
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
    for (const count of [7920, 17_920, 79_920]) {
      const { bulk, whole } = stage(ROOM);
      bulk.copy(new Float32Array(buffer, 400, 20_000), 80, 8, count);
      expect(Buffer.compare(whole.slice(OFFSET + 8, OFFSET + 8 + count), data.slice(480, 480 + count))).toBe(
        0,
      );
    }
  }
});

it("asks nothing of the caller's array that its owner could have replaced", () => {
  const liar = new Uint8Array(data);
  const lies = {
    buffer: { value: new ArrayBuffer(ROOM) },
    byteOffset: { value: 100 },
    length: { value: 1 },
  };
  Object.defineProperties(liar, lies);
  for (const count of [8192, 16_384, 65_536]) {
    const { bulk, whole } = stage(ROOM);
    bulk.copy(liar, 0, 0, count);
    expect(Buffer.compare(whole.slice(OFFSET, OFFSET + count), data.slice(0, count))).toBe(0);
  }
});

it("refuses to write beyond its memory", () => {
  for (const count of [5001, 20_000, 70_000]) {
    const { bulk, whole } = stage(ROOM + 64);
    expect(() => bulk.copy(data, 0, ROOM - count + 1, count)).toThrow(/out of|expected at most/);
    expect(isGuard(whole)).toBe(true);
  }
});

it("copies from any buffer that can change its length", () => {
  const growable = new SharedArrayBuffer(ROOM, { maxByteLength: 2 * ROOM });
  const resizable = new ArrayBuffer(2 * ROOM, { maxByteLength: 2 * ROOM });
  resizable.resize(ROOM);
  for (const buffer of [growable, resizable]) {
    new Uint8Array(buffer).set(data);
    for (const count of [5000, 20_000, 70_000]) {
      const { bulk, whole } = stage(ROOM);
      bulk.copy(new Uint16Array(buffer, 6), 4, 3, count);
      expect(Buffer.compare(whole.slice(OFFSET + 3, OFFSET + 3 + count), data.slice(10, 10 + count))).toBe(0);
    }
  }
});

it("copies plainly where that pays, or past the caches", () => {
  const least = isNode ? 4096 : isDeno ? 16_384 : Infinity;
  const { bulk } = stage();
  expect([4095, 4096, 16_383, 16_384, 1e9].map((bytes) => bulk.pays(bytes))).toEqual(
    [4095, 4096, 16_383, 16_384, 1e9].map((bytes) => bytes >= least),
  );
  expect(stage(ROOM).bulk.pays(65_536)).toBe(true);
});
