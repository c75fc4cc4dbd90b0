/** Memory that callers own and go on using: inputs that change, results that are taken away, floods. */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, it } from "vitest";
import { InputError, QueueFullError, Tensor } from "trtpipe";
import { callers } from "../support/caller-thread.ts";
import { opener, rejection, within } from "../support/pipes.ts";

const open = opener(afterAll);
const caller = callers(afterAll);

const BACKEND = "(shape=4)Identity";
const values = (result: unknown): number[] => Array.from((result as Tensor<"float32">).data);

describe("a resizable buffer", () => {
  it("may shrink as soon as the call returns: what it held is answered", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    for (let n = 0; n < 50; n++) {
      const buffer = new ArrayBuffer(32, { maxByteLength: 64 });
      const data = new Float32Array(buffer);
      data.set([n, 1, 2, 3, n, 5, 6, 7]);
      const call = models({ data });
      buffer.resize(n % 2 === 0 ? 0 : 8);
      expect(values((await within(call, "the call")).result)).toEqual([n, 1, 2, 3, n, 5, 6, 7]);
    }
  });

  it("that is too short by then is refused by what it has", async () => {
    const models = await open({ backend: BACKEND });
    const buffer = new ArrayBuffer(16, { maxByteLength: 64 });
    const data = new Float32Array(buffer);
    buffer.resize(12);
    const error = await rejection(models({ data }));
    expect(error).toMatchObject({ code: "TP_INPUT", got: "Float32Array of 3" });
  });
});

describe("shared memory that another thread writes meanwhile", () => {
  it("gives an answer of what was there at some moment, and of the right size", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const shared = new SharedArrayBuffer(4096 * 4);
    const script = `const { workerData } = require("node:worker_threads");
      const data = new Float32Array(workerData);
      const stop = new Int32Array(workerData);
      for (let n = 0; Atomics.load(stop, 4095) === 0; n = (n + 1) % 1000) data.fill(n, 0, 4000);`;
    const writer = new Worker(script, { eval: true, workerData: shared });
    const ended = once(writer, "exit");
    const data = new Float32Array(shared, 0, 4000);
    for (let n = 0; n < 200; n++) {
      const { result } = await within(models({ data }), "the call");
      expect((result as Tensor).shape).toEqual([1000, 4]);
      expect(values(result).every((value) => Number.isInteger(value) && value >= 0 && value < 1000)).toBe(
        true,
      );
    }
    Atomics.store(new Int32Array(shared), 4095, 1);
    await within(ended, "the writer's end");
  });
});

describe("a result", () => {
  it("may be transferred away or kept: later ones are not touched by it", async () => {
    const models = await open({ backend: BACKEND, max: 2, max_queue: 2 });
    const kept: number[][] = [];
    const results: Tensor<"float32">[] = [];
    for (let n = 0; n < 100; n++) {
      const { result } = await within(models({ data: Float32Array.of(n, 0, 0, n) }), "the call");
      const tensor = result as Tensor<"float32">;
      expect(values(tensor)).toEqual([n, 0, 0, n]);
      if (n % 2 === 0) structuredClone(tensor.data, { transfer: [tensor.data.buffer as ArrayBuffer] });
      else results.push(tensor);
      kept.push(n % 2 === 0 ? [] : [n, 0, 0, n]);
    }
    expect(results.map(values)).toEqual(kept.filter((row) => row.length > 0));
  });
});

describe("a caller that asks for too much", () => {
  it("is refused a gigabyte by name, without copying it", async () => {
    const models = await open({ backend: BACKEND, max_queue: 16 });
    const startMs = performance.now();
    const error = await rejection(models({ data: new Float32Array(2 ** 28) }));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ expected: "at most max_queue, 16 rows", got: "67108864 rows" });
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  it("is refused at once, and others are answered meanwhile", async () => {
    const models = await open({ backend: BACKEND, max: 8, max_queue: 64 });
    const thread = await caller(models.share());
    const asked = thread.ask("clients", { count: 4, requests: 300, rowsMax: 3, first: 1 });
    const data = new Float32Array(4);
    const refused: unknown[] = [];
    const flood: Promise<unknown>[] = [];
    const others = { answered: false };
    void asked.then(() => (others.answered = true));
    for (let turn = 0; turn < 200 && !others.answered; turn++) {
      for (let n = 0; n < 1000; n++) {
        flood.push(models({ data }).catch((error: unknown) => void refused.push(error)));
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await within(Promise.all(flood), "the flood", 20_000);
    expect(await within(asked, "the other caller")).toBe(0);
    expect(refused.length).toBeGreaterThan(flood.length / 2);
    expect(refused.every((error) => error instanceof QueueFullError)).toBe(true);
    expect(models.stats()).toMatchObject({ inFlight: 0, freeSlots: 64, refused: refused.length });
  });
});
