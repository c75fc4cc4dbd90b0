/** What one call promises: when it settles, with what, and what becomes of the caller's objects. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { InputError, QueueFullError, Tensor } from "trtpipe";
import type { Pipe, PipeInput } from "trtpipe";
import { block, opener, rejection, within } from "../support/pipes.ts";
import { counting } from "../support/tensors.ts";

const open = opener(afterAll);

let models: Pipe;

beforeAll(async () => {
  models = await open({ backend: "(shape=4)Identity", max: 4, max_queue: 64 });
});

const row = (first: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: 4 }, (_, i) => first + i);

/** Values of a request's only output. */
function valuesOf(input: PipeInput): number[] {
  return [...((input.result as Tensor).data as Float32Array)];
}

describe("a call", () => {
  it("resolves with the same object, its other properties left alone", async () => {
    const input = { data: row(1), id: "mine" };
    const answered = await within(models(input), "the call");
    expect(answered).toBe(input);
    expect(Object.keys(input)).toEqual(["data", "id", "result"]);
    expect(answered.result).toEqual(Tensor.from(row(1), { shape: [1, 4] }));
  });

  it("is the same as forward()", async () => {
    const input = { data: row(5) };
    expect(await within(models.forward(input), "forward()")).toBe(input);
    expect(valuesOf(input)).toEqual([5, 6, 7, 8]);
  });

  it("takes tensors, posted tensors, bare typed arrays, and records by name", async () => {
    const tensor = counting([2, 4]);
    const posted = structuredClone(tensor);
    const forms: PipeInput["data"][] = [tensor, posted, tensor.data, { input: tensor }];
    for (const data of forms) {
      const input: PipeInput = { data };
      await within(models(input), "the call");
      expect(input.result).toEqual(tensor);
    }
  });

  it("takes a view into a larger buffer from its offset", async () => {
    const whole = Float32Array.from({ length: 20 }, (_, i) => i);
    const input = { data: whole.subarray(3, 11) };
    await within(models(input), "the call");
    expect(valuesOf(input)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("takes memory that is shared with other threads", async () => {
    const input = { data: new Float32Array(new SharedArrayBuffer(16)).fill(7) };
    await within(models(input), "the call");
    expect(valuesOf(input)).toEqual([7, 7, 7, 7]);
  });

  it.each([1, 2, 4, 5, 63, 64])("takes %d rows, however many make a batch", async (rows) => {
    const data = counting([rows, 4], "float32", rows);
    const { result } = await within(models({ data }), "the call");
    expect(result).toEqual(data);
  });
});

describe("the input", () => {
  it("is read before the call returns", async () => {
    const data = row(1);
    const input = { data };
    const answered = models(input);
    data.fill(-1);
    input.data = row(100);
    await within(answered, "the call");
    expect(valuesOf(input)).toEqual([1, 2, 3, 4]);
  });

  it("may be transferred away at once", async () => {
    const data = row(1);
    const input = { data };
    const answered = models(input);
    structuredClone(data.buffer, { transfer: [data.buffer] });
    await within(answered, "the call");
    expect(valuesOf(input)).toEqual([1, 2, 3, 4]);
  });

  it("may be used again as soon as it was answered", async () => {
    const input: PipeInput = { data: row(1) };
    await within(models(input), "the first call");
    input.data = row(9);
    await within(models(input), "the second call");
    expect(valuesOf(input)).toEqual([9, 10, 11, 12]);
  });

  it("loses a stale result at the call", async () => {
    const input = { data: row(1), result: Tensor.from(row(50)) };
    const answered = models(input);
    expect("result" in input).toBe(false);
    await within(answered, "the call");
    expect(valuesOf(input)).toEqual([1, 2, 3, 4]);
  });

  it("has no result when the call failed, and can be mended and used again", async () => {
    const input: PipeInput = { data: row(1) };
    await within(models(input), "the first call");
    input.data = new Float32Array(3);
    expect(await rejection(models(input))).toBeInstanceOf(InputError);
    expect("result" in input).toBe(false);
    input.data = row(2);
    await within(models(input), "the last call");
    expect(valuesOf(input)).toEqual([2, 3, 4, 5]);
  });

  it("is refused while the same object is in flight, which goes on", async () => {
    const input = { data: row(1) };
    const first = models(input);
    const error = await rejection(models(input));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain("in flight");
    await within(first, "the first call");
    expect(valuesOf(input)).toEqual([1, 2, 3, 4]);
    await within(models(input), "a third call");
  });

  it.each([
    ["frozen", Object.freeze({ data: row(1) })],
    ["sealed", Object.seal({ data: row(1) })],
    ["non-extensible", Object.preventExtensions({ data: row(1) })],
  ])("is refused when it is %s: no result could be set", async (_, input) => {
    expect(await rejection(models(input))).toBeInstanceOf(InputError);
  });
});

describe("whatever is wrong with the input", () => {
  const wrong: Record<string, unknown> = {
    undefined,
    null: null,
    "a number": 5,
    "a string": "data",
    "an object without data": {},
    "a bare typed array": row(1),
    "a tensor": counting([1, 4]),
    "data of null": { data: null },
    "another element type": { data: new Float64Array(4) },
    "a tensor of another element type": { data: counting([1, 4], "int32") },
    "a number of elements that makes no rows": { data: new Float32Array(6) },
    "no rows": { data: new Float32Array(0) },
    "a shape of another rank": { data: counting([4]) },
    "a shape of other items": { data: counting([1, 5]) },
    "a nested list": { data: [[1, 2, 3, 4]] },
    "a promise": { data: Promise.resolve(row(1)) },
    "an unknown name": { data: { x: row(1) } },
    "a DataView": { data: new DataView(new ArrayBuffer(16)) },
    "a detached buffer": { data: detached() },
  };

  it.each(Object.entries(wrong))("is an InputError by rejection: %s", async (_, input) => {
    let answered: Promise<unknown> | undefined;
    expect(() => (answered = models(input as PipeInput))).not.toThrow();
    const error = await rejection(answered!);
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ code: "TP_INPUT", name: "InputError" });
  });

  it("takes no slot", async () => {
    const before = models.stats();
    for (const input of Object.values(wrong)) await rejection(models(input as PipeInput));
    const after = models.stats();
    expect(after.freeSlots).toBe(64);
    expect(after.refused - before.refused).toBe(Object.keys(wrong).length);
    expect(after.rows).toBe(before.rows);
  });

  it("is an error of the caller's getter too, which is its cause", async () => {
    const input = {
      get data(): never {
        throw new RangeError("mine");
      },
    };
    const error = await rejection(models(input));
    expect(error).toBeInstanceOf(InputError);
    expect(error.cause).toBeInstanceOf(RangeError);
  });

  it("names more rows than max_queue", async () => {
    const error = await rejection(models({ data: counting([65, 4]) }));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(/max_queue.*64.*65/);
  });

  it("does not disturb a call made by the input's own getter", async () => {
    const inner = { data: row(1) };
    let answered: Promise<unknown> | undefined;
    const outer = {
      get data(): Float32Array {
        answered = models(inner);
        return row(100);
      },
    };
    await within(models(outer), "the outer call");
    await within(answered!, "the inner call");
    expect(valuesOf(outer)).toEqual([100, 101, 102, 103]);
    expect(valuesOf(inner)).toEqual([1, 2, 3, 4]);
  });
});

function detached(): Float32Array {
  const data = row(1);
  structuredClone(data.buffer, { transfer: [data.buffer] });
  return data;
}

describe("the result", () => {
  it("belongs to the caller", async () => {
    const inputs = [1, 5, 9].map((first) => ({ data: row(first) }));
    await within(models(inputs), "the calls");
    const [a, b, c] = inputs.map((input) => (input as PipeInput).result as Tensor);
    (b.data as Float32Array).fill(-1);
    structuredClone(a.data.buffer, { transfer: [a.data.buffer as ArrayBuffer] });
    const next = await within(models({ data: row(20) }), "the next call");
    expect([...(c.data as Float32Array)]).toEqual([9, 10, 11, 12]);
    expect((next.result as Tensor).data).toEqual(row(20));
    expect((b.data as Float32Array).every((value) => value === -1)).toBe(true);
  });

  it("does not change when its slot is used again", async () => {
    const first = await within(models({ data: row(1) }), "the first call");
    const kept = first.result as Tensor;
    for (let n = 0; n < 200; n++) await models({ data: row(n * 10) });
    expect([...(kept.data as Float32Array)]).toEqual([1, 2, 3, 4]);
  });
});

describe("an array call", () => {
  it("resolves with the same objects in their order", async () => {
    const inputs = Array.from({ length: 40 }, (_, i) => ({ data: row(i * 4) }));
    const answered = await within(models(inputs), "the calls");
    expect(answered).toHaveLength(40);
    expect(answered.every((one, i) => one === inputs[i])).toBe(true);
    expect(inputs.map(valuesOf)).toEqual(inputs.map(({ data }) => [...data]));
  });

  it("of nothing resolves with nothing", async () => {
    expect(await within(models([]), "the call")).toEqual([]);
  });

  it("settles each input, then rejects with the first error", async () => {
    const inputs: PipeInput[] = [
      { data: row(1) },
      { data: new Float32Array(3) },
      { data: new Float64Array(4) },
      { data: row(2) },
    ];
    const error = await rejection(models(inputs));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain("Float32Array of 3");
    expect(inputs.map((input) => "result" in input)).toEqual([true, false, false, true]);
    expect(valuesOf(inputs[3])).toEqual([2, 3, 4, 5]);
  });

  it("refuses the same object twice, once", async () => {
    const input = { data: row(1) };
    expect(await rejection(models([input, input]))).toBeInstanceOf(InputError);
    expect(valuesOf(input)).toEqual([1, 2, 3, 4]);
  });
});

describe("more than max_queue rows", () => {
  it("are refused at once, and nothing is lost", async () => {
    const small = await open({ backend: "Identity", max: 1, max_queue: 8 });
    const before = small.stats();
    const calls = Array.from({ length: 100 }, (_, i) => small({ data: Float32Array.of(i) }));
    const full = small.stats();
    expect(full).toMatchObject({ inFlight: 8, freeSlots: 0, refused: before.refused + 92 });
    expect(full.refusals).toEqual({ ...before.refusals, full: before.refusals.full + 92 });
    const settled = await within(Promise.allSettled(calls), "the calls");
    const answered = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const refused = settled.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    expect(answered.map((input) => valuesOf(input)[0])).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(refused.every((error) => error instanceof QueueFullError)).toBe(true);
    expect(refused[0]).toMatchObject({ code: "TP_QUEUE_FULL", rows: 1, free: 0, maxQueue: 8 });
    expect(small.stats()).toMatchObject({ inFlight: 0, freeSlots: 8, succeeded: 8 });
  });

  it("are refused all or none: a request that does not fit takes no slot", async () => {
    const small = await open({ backend: "Identity", max: 4, max_queue: 8 });
    const first = small({ data: new Float32Array(6) });
    expect(await rejection(small({ data: new Float32Array(3) }))).toMatchObject({ rows: 3, free: 2 });
    const second = small({ data: Float32Array.of(1, 2) });
    expect((await within(second, "the second")).result).toEqual(Tensor.from([1, 2]));
    await within(first, "the first");
  });

  it("leave no trace, however often it happens", async () => {
    const small = await open({ backend: "Identity", max: 4, max_queue: 16 });
    for (let round = 0; round < 100; round++) {
      const calls = Array.from({ length: 100 }, (_, i) => small({ data: Float32Array.of(i) }));
      const settled = await within(Promise.allSettled(calls), "the calls");
      expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(16);
    }
    expect(small.stats()).toMatchObject({ inFlight: 0, freeSlots: 16, submitted: 10_000, succeeded: 1600 });
  });

  it("are room again as soon as one was answered, in the same turn of its caller", async () => {
    const small = await open({ backend: "Identity", max: 1, max_queue: 1 });
    for (let n = 0; n < 300; n++) {
      const { result } = await within(small({ data: Float32Array.of(n) }), "the call");
      expect((result as Tensor).data[0]).toBe(n);
    }
  });
});

describe("a thousand clients", () => {
  it("are answered alike: nobody waits while others come again and again", async () => {
    const many = await open({ backend: "Identity", max: 16 });
    const counts = Array.from({ length: 1000 }, () => 0);
    const untilMs = performance.now() + 1000;
    const client = async (i: number): Promise<void> => {
      while (performance.now() < untilMs) {
        await many({ data: Float32Array.of(i) });
        counts[i]++;
      }
    };
    await within(Promise.all(counts.map((_, i) => client(i))), "the clients");
    const sorted = counts.toSorted((a, b) => a - b);
    expect(sorted[0]).toBeGreaterThan(0);
    expect(sorted[999] / sorted[0]).toBeLessThan(2);
  });
});

describe("an event loop", () => {
  it("is not held up by many large answers that come at once", async () => {
    const large = await open({ backend: "(shape=150528)Identity", max: 16, max_queue: 256, spin_us: 0 });
    const data = new Float32Array(150_528);
    const calls = Array.from({ length: 200 }, () => large({ data }));
    // All of them are done before this thread looks at the first.
    block(400);
    // Answers between two turns of the loop. Told apart by turns and not by time, since other programs may
    // take the cores: 200 answers of 0.6 MB take some 50 ms to copy, and each turn has 1 ms of them.
    let most = 0;
    let answers = 0;
    for (const call of calls) void call.then(() => answers++);
    let ended = false;
    const turn = (): void => {
      most = Math.max(most, answers);
      answers = 0;
      if (!ended) setImmediate(turn);
    };
    setImmediate(turn);
    await within(Promise.all(calls), "the calls");
    ended = true;
    turn();
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(50);
  });
});
