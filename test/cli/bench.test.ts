/** The load generator of `trtpipe bench`, on targets whose behaviour is known. */

import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { closedLoop, openLoop, type Times } from "../../src/cli/bench/loops.ts";
import { plot } from "../../src/cli/bench/plot.ts";
import { randomInputs, readShapes } from "../../src/cli/bench/random-input.ts";
import { table } from "../../src/cli/bench/report.ts";
import type { Figures } from "../../src/cli/bench/figures.ts";
import type { RequestPlan, Target } from "../../src/cli/bench/target.ts";
import type { Dtype, TensorSpec } from "../../src/index.ts";

const times: Times = {
  warmUpMs: 20,
  measureMs: 200,
  atLeast: 1,
  signal: new AbortController().signal,
  tick: () => {},
};

/** Answers each request after `ms`, `atOnce` of them at a time. */
function server(ms: number, atOnce = Infinity): Target & { most: number } {
  let [batches, underWay] = [0, 0];
  const waiting: (() => void)[] = [];
  const target = {
    about: "a timer",
    most: 0,
    send: async () => {
      underWay += 1;
      target.most = Math.max(target.most, underWay);
      while (underWay - waiting.length > atOnce) await new Promise<void>((go) => waiting.push(go));
      await sleep(ms);
      batches += 1;
      underWay -= 1;
      waiting.shift()?.();
    },
    counters: () => Promise.resolve({ batches, rows: 2 * batches }),
    close: () => Promise.resolve(),
  };
  return target;
}

describe("closed loop", () => {
  it("has as many requests under way as there are clients, and measures each", async () => {
    const target = server(10);
    const figures = await closedLoop(target, 5, times);
    expect(target.most).toBe(5);
    expect(figures).toMatchObject({ clients: 5, failures: {}, mean_batch: 2 });
    expect(figures.p50_ms).toBeGreaterThan(9);
    expect(figures.requests).toBeLessThan((5 * 1000 * figures.seconds) / 9);
    expect(figures.requests_per_s).toBeCloseTo(figures.requests / figures.seconds);
    expect(figures.p50_ms).toBeLessThanOrEqual(figures.p99_ms!);
    expect(figures.p99_ms).toBeLessThanOrEqual(figures.max_ms!);
  });

  it("goes on until there are enough answers, where a run takes longer than the time", async () => {
    const figures = await closedLoop(server(300), 1, { ...times, atLeast: 2 });
    expect(figures.requests).toBeGreaterThanOrEqual(2);
  });

  it("counts failures by name, and does not take them for answers", async () => {
    const target = { ...server(1), send: () => Promise.reject(new RangeError("full")) };
    const figures = await closedLoop(target, 2, { ...times, measureMs: 30 });
    expect(figures).toMatchObject({ requests: 0, requests_per_s: 0, p50_ms: null, max_ms: null });
    expect(figures.failures.RangeError).toBeGreaterThan(0);
  });

  it("throws the signal's reason when it is aborted, after the last answer", async () => {
    const controller = new AbortController();
    const target = server(50);
    setTimeout(() => controller.abort(new Error("enough")), 30);
    await expect(closedLoop(target, 3, { ...times, signal: controller.signal })).rejects.toThrow("enough");
    const { batches } = (await target.counters())!;
    await sleep(100);
    expect((await target.counters())!.batches).toBe(batches);
  });
});

describe("open loop", () => {
  it("sends as often as it is told, on average", async () => {
    const figures = await openLoop(server(1), 500, 7, { ...times, measureMs: 1000 });
    expect(figures.rate).toBe(500);
    expect(figures.requests_per_s).toBeGreaterThan(350);
    expect(figures.requests_per_s).toBeLessThan(650);
  });

  it("does not wait for answers, and charges a slow target with the waiting", async () => {
    const target = server(20, 1); // 50 a second
    const figures = await openLoop(target, 200, 7, { ...times, measureMs: 500 });
    expect(target.most).toBeGreaterThan(10);
    expect(figures.p99_ms).toBeGreaterThan(100);
  });
});

describe("made-up inputs", () => {
  const plan: RequestPlan = { rows: 2, shapes: new Map(), timeoutMs: undefined, seed: 3 };
  const spec = (dtype: Dtype, shape: number[] | null): TensorSpec => ({ name: "x", dtype, shape });

  it.each<Dtype>([
    "float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "uint16", "int32", "uint32",
    "int64", "uint64", "bool",
  ])("have the shape and dtype %s that the model wants, and the same values for the same seed", (dtype) => {
    const { x } = randomInputs([spec(dtype, [-1, 3])], true, plan);
    expect([x.dtype, x.shape]).toEqual([dtype, [2, 3]]);
    expect(randomInputs([spec(dtype, [-1, 3])], true, plan).x.data).toEqual(x.data);
  }); // prettier-ignore

  it("take sizes of open dimensions, and name the one that has none", () => {
    const shapes = readShapes("x=1x4,other=2");
    expect(shapes).toEqual(new Map([["x", [1, 4]], ["other", [2]]])); // prettier-ignore
    const { x } = randomInputs([spec("float32", [-1, -1])], true, { ...plan, shapes: readShapes("x=1x4") });
    expect(x.shape).toEqual([2, 4]);
    expect(() => randomInputs([spec("float32", [-1, -1])], true, plan)).toThrow(/dimension 1 of \[-1, -1\]/);
    expect(() => randomInputs([spec("float32", [-1])], true, { ...plan, shapes })).toThrow(/other/);
    expect(() => readShapes("x:3")).toThrow(/--shape/);
  });
});

describe("report", () => {
  const row: Figures = {
    clients: 4, seconds: 1, requests: 90, failures: { QueueFullError: 3 }, requests_per_s: 90,
    p50_ms: 1.5, p90_ms: 12.25, p99_ms: 250, max_ms: 300, mean_batch: null,
  }; // prettier-ignore

  it("is a table whose columns line up", () => {
    const lines = table([row, { ...row, clients: 16, requests_per_s: 1234.5, failures: {} }]).split("\n");
    expect(lines[1]).toMatch(/^4 clients +90\.0 +1\.50 +12\.3 +250 +300 +- +3 QueueFullError$/);
    expect(lines[2].indexOf("1235") + 4).toBe(lines[1].indexOf("90.0") + 4);
  });

  it("is a picture with every point, and text that cannot break it", () => {
    const svg = plot("a <b> & c", [row, { ...row, p99_ms: null }]);
    expect(svg).toContain("a &lt;b&gt; &amp; c");
    // One of throughput, three of latency, without the one that is missing.
    expect(svg.match(/<circle/g)).toHaveLength(2 * 4 - 1);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});
