/** Each binding that this runtime has gives the same answers. */

import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import * as abi from "../../src/native/abi.ts";
import { NativeError, type Native } from "../../src/native/library.ts";
import { load } from "../../src/native/load.ts";

const own = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : undefined;
const nodeHasFfi = own === undefined && process.getBuiltinModule?.("node:ffi" as "node:fs") !== undefined;
const runtimes = [
  "koffi" as const,
  ...(own ? [own as "bun" | "deno"] : []),
  ...(nodeHasFfi ? ["node" as const] : []),
];

/** Its types come with the browser's, which the project goes without. */
const { Memory } = (globalThis as unknown as Record<"WebAssembly", { Memory: MemoryClass }>).WebAssembly;
type MemoryClass = new (options: { initial: number }) => { buffer: ArrayBuffer };

/** Memory that a caller's array may have. */
const memories: [string, (bytes: number) => ArrayBufferLike][] = [
  ["plain memory", (bytes) => new ArrayBuffer(bytes)],
  ["shared memory", (bytes) => new SharedArrayBuffer(bytes)],
  ["resizable memory", (bytes) => new ArrayBuffer(bytes, { maxByteLength: 2 * bytes })],
  ["growable shared memory", (bytes) => new SharedArrayBuffer(bytes, { maxByteLength: 2 * bytes })],
  ["a WebAssembly memory", () => new Memory({ initial: 2 }).buffer],
];

function errorOf(work: () => unknown): NativeError {
  try {
    work();
  } catch (error) {
    if (error instanceof NativeError) return error;
    throw error;
  }
  throw new Error("The call succeeded, though it should have failed");
}

/**
 * An Identity instance over one channel of SharedArrayBuffer memory: 3 slots of 4 floats in, 4 floats out.
 */
function identity(
  native: Native,
  outputBytes = 16,
): { instance: number; payload: Float32Array; block: Int32Array } {
  const model = native.openModel([
    ["backend", "Identity"],
    ["shape", "4"],
  ]);
  const instance = native.createInstance(model, 2, 1);
  native.closeModel(model);
  const memory = new SharedArrayBuffer(64 + 3 * 16 + 3 * 16);
  native.bindLayout(instance, BigUint64Array.of(0n, 48n), BigUint64Array.of(16n, BigInt(outputBytes)));
  native.bindChannel(instance, 5, new Uint8Array(memory, 64), 3);
  const block = new Int32Array(new SharedArrayBuffer(abi.BATCH_BYTES + 2 * abi.ROW_BYTES));
  native.bindBatch(instance, new Uint8Array(block.buffer));
  for (const [row, slot] of [2, 0].entries()) {
    block[(abi.BATCH_BYTES + row * abi.ROW_BYTES + abi.ROW_CHANNEL) / 4] = 5;
    block[(abi.BATCH_BYTES + row * abi.ROW_BYTES + abi.ROW_SLOT) / 4] = slot;
  }
  return { instance, payload: new Float32Array(memory, 64), block };
}

describe.each(runtimes)("%s", (runtime) => {
  const native = load("", runtime);

  it("reads a monotonic clock in milliseconds", async () => {
    const before = native.clockMs();
    await new Promise((resolve) => setTimeout(resolve, 30));
    const passedMs = native.clockMs() - before;
    expect(passedMs).toBeGreaterThanOrEqual(28);
    expect(passedMs).toBeLessThan(10_000);
    expect(Math.abs(load("", "koffi").clockMs() - native.clockMs())).toBeLessThan(1000);
  });

  it("describes the library and a model", () => {
    expect(native.describe().backends).toContain("Identity");
    const model = native.openModel([
      ["backend", "Identity"],
      ["shape", "3x2"],
      ["dtype", String(abi.TP_U8)],
    ]);
    const description = native.describeModel(model) as Record<string, Record<string, unknown>[]>;
    expect(description.backend).toBe("Identity");
    expect(description.inputs).toHaveLength(1);
    expect(description.inputs[0]).toMatchObject({ dtype: abi.TP_U8, shape: [3, 2] });
    native.closeModel(model);
  });

  it("reads and writes shared memory in place, at a view's offset", () => {
    const { instance, payload } = identity(native);
    payload.set([1, 2, 3, 4], 0);
    payload.set([9, 10, 11, 12], 8);
    expect(native.run(instance, 2)).toBe(abi.TP_OK);
    expect([...payload.subarray(12)]).toEqual([1, 2, 3, 4, 0, 0, 0, 0, 9, 10, 11, 12]);
    native.destroyInstance(instance);
  });

  it("copies outputs that stayed in native memory, row by row", () => {
    const handles = native.handleCount();
    const { instance, payload, block } = identity(native, 8);
    payload.set([1, 2, 3, 4], 0);
    payload.set([9, 10, 11, 12], 8);
    expect(native.run(instance, 2)).toBe(abi.TP_OK);
    expect(block[abi.BATCH_NATIVE_OUTPUTS / 4]).toBe(1);
    const result = block[abi.BATCH_RESULT / 4] >>> 0;
    const to = new Float32Array(new SharedArrayBuffer(24), 4, 4);
    const bytes = new Uint8Array(to.buffer, 4, 16);
    expect(native.resultCopy(result, 1, 0, bytes)).toBe(abi.TP_OK);
    expect([...to]).toEqual([1, 2, 3, 4]);
    expect(native.resultCopy(result, 0, 0, bytes)).toBe(abi.TP_OK);
    expect([...to]).toEqual([9, 10, 11, 12]);
    expect(native.resultCopy(result, 0, 0, bytes.subarray(1))).toBe(abi.TP_ERR_ARGUMENT);
    expect(native.resultCopy(result, 0, 0, new Uint8Array(0))).toBe(abi.TP_ERR_ARGUMENT);
    native.resultRelease(result);
    native.resultRelease(result);
    expect(native.resultCopy(result, 0, 0, bytes)).toBe(abi.TP_ERR_HANDLE);
    native.destroyInstance(instance);
    expect(native.handleCount()).toBe(handles);
  });

  it.each(memories)("copies in from %s, at any offset", (_, make) => {
    const memory = make(100_000);
    const source = new Uint8Array(memory);
    for (let i = 0; i < source.length; i++) source[i] = (i * 7 + (i >> 8)) % 233;
    const places = [[0, 0, 16], [1, 3, 5], [63, 64, 70_000], [17, 30_001, 65_536], [0, 0, 1], [9, 9, 0]];
    for (const [fromAt, at, count] of places) {
      for (const flag of [0, abi.TP_COPY_STREAM]) {
        const to = new Uint8Array(new SharedArrayBuffer(100_064), 64).fill(255);
        native.copyIn(to, at, new Uint8Array(memory, fromAt, count), flag);
        const expected = new Uint8Array(100_000).fill(255);
        expected.set(source.subarray(fromAt, fromAt + count), at);
        expect(Buffer.compare(to, expected)).toBe(0);
      }
    }
  }); // prettier-ignore

  it("copies nothing in where it does not fit, or is not known how", () => {
    const [to, from] = [new Uint8Array(new SharedArrayBuffer(100)), new Uint8Array(60).fill(1)];
    for (const at of [41, 100, 101, 2 ** 40, -1, Number.NaN])
      expect(errorOf(() => native.copyIn(to, at, from, 0)).message).toContain(
        "Cannot pass from: expected at most",
      );
    expect(errorOf(() => native.copyIn(to, 0, from, 2)).message).toContain("flags of TP_COPY_*, got 2");
    expect(errorOf(() => native.copyIn(to, 1, to.subarray(40), 0)).message).toContain("overlap");
    native.copyIn(to, 0, new Uint8Array(0), 0);
    expect(to.every((byte) => byte === 0)).toBe(true);
  });

  it("answers stale and impossible handles with TP_ERR_HANDLE", () => {
    const { instance } = identity(native);
    native.destroyInstance(instance);
    for (const handle of [instance, 0, 0x7fffffff, 0x80000000, 0xffffffff]) {
      expect(native.run(handle, 1)).toBe(abi.TP_ERR_HANDLE);
      expect(errorOf(() => native.describeModel(handle)).status).toBe(abi.TP_ERR_HANDLE);
      expect(errorOf(() => native.threadAlive(handle)).status).toBe(abi.TP_ERR_HANDLE);
      expect(errorOf(() => native.interrupt(handle)).status).toBe(abi.TP_ERR_HANDLE);
    }
  });

  it("gives a failure's text back as it was, beyond ASCII too", () => {
    const key = "größe→🦊";
    const error = errorOf(() =>
      native.openModel([
        ["backend", "Identity"],
        [key, "1"],
      ]),
    );
    expect(error.status).toBe(abi.TP_ERR_ARGUMENT);
    expect(error.message).toContain(key);
    expect(native.lastError()).toBe(error.message);
    expect(
      errorOf(() =>
        load("", "koffi").openModel([
          ["backend", "Identity"],
          [key, "1"],
        ]),
      ).message,
    ).toBe(error.message);
  });

  it("watches its own thread", () => {
    const watch = native.threadWatch();
    expect(native.threadAlive(watch)).toBe(true);
    native.threadUnwatch(watch);
    expect(errorOf(() => native.threadUnwatch(watch)).status).toBe(abi.TP_ERR_HANDLE);
  });
});

describe("before a call", () => {
  const native = load();
  const detached = new Uint8Array(16);
  structuredClone(detached, { transfer: [detached.buffer] });

  it.each([
    ["an empty view", new Uint8Array(0), "expected bytes, got an empty or detached view"],
    ["a detached view", detached, "expected bytes, got an empty or detached view"],
    ["an array", [1, 2, 3] as unknown as Uint8Array, "expected a typed array, got 1,2,3"],
    ["nothing", undefined as unknown as Uint8Array, "expected a typed array, got undefined"],
  ])("refuses %s as memory", (_, memory, text) => {
    const error = errorOf(() => native.bindBatch(1, memory));
    expect(error.status).toBe(abi.TP_ERR_ARGUMENT);
    expect(error.message).toBe(`Cannot pass block: ${text}`);
  });

  it.each([-1, 1.5, 2 ** 32, Number.NaN, "1" as unknown as number])("refuses %s as a handle", (handle) => {
    expect(errorOf(() => native.closeModel(handle)).message).toBe(
      `Cannot pass model: expected an unsigned 32-bit integer, got ${handle}`,
    );
  });

  it("refuses options that would be read as others", () => {
    expect(errorOf(() => native.openModel([["a=b", "1"]])).message).toContain('got "a=b"');
    expect(errorOf(() => native.openModel([["path", "x\0session=own"]])).message).toContain(
      "without NUL for path",
    );
  });

  it("refuses a layout of two lengths", () => {
    const two = BigUint64Array.of(0n, 0n);
    const error = errorOf(() => native.bindLayout(1, two, two.subarray(1)));
    expect(error.message).toBe("Cannot pass strides: expected 2 strides, as many as offsets, got 1");
  });
});
