/** A model that fails: who is told what, and that nobody else notices. */

import { afterAll, describe, expect, it } from "vitest";
import { DeviceLostError, ExecutionError, ModelLoadError, Tensor, pipe } from "trtpipe";
import type { Pipe, PipeInput } from "trtpipe";
import { loadNative } from "../../src/native/load.ts";
import { TP_ERR_MEMORY } from "../../src/native/abi.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { gatherModel } from "../models.ts";
import { opener, rejection, sleep, within } from "../support/pipes.ts";

useFaultLibrary();
const open = opener(afterAll);

const BACKEND = "(shape=3)Fault";

function request(number: number, opcode: number = Fault.none, argument = 0): PipeInput {
  return { data: Float32Array.of(opcode, argument, number) };
}

/**
 * Sends everything in one turn: the bell rings once for it, and so it goes as one batch. An instance that is
 * only beginning to look would take what it sees without the bell, so it has to sleep by then.
 */
async function together(models: Pipe, inputs: PipeInput[]): Promise<PromiseSettledResult<PipeInput>[]> {
  while (models.stats().instances.some(({ state }) => state !== "parked")) await sleep(1);
  const settled = await within(Promise.allSettled(inputs.map((input) => models(input))), "the calls");
  const sent = Object.values(models.stats().sizes).map((sizes) => sizes[inputs.length]);
  if (!sent.some((count) => count > 0)) throw new Error("The requests did not go as one batch");
  return settled;
}

/** The numbers of those that were answered, and the errors of the others by their place. */
function outcomes(settled: PromiseSettledResult<PipeInput>[]): (number | Error)[] {
  return settled.map((one) => {
    if (one.status === "rejected") return one.reason as Error;
    return Number(((one.value.result as Tensor).data as Float32Array)[2]);
  });
}

describe("one row that fails", () => {
  it.each([
    ["by itself", Fault.failRow],
    ["with the whole batch", Fault.failBatch],
  ])("does not fail its mates: %s", async (_, opcode) => {
    const models = await open({ backend: BACKEND, max: 8 });
    const inputs = [0, 1, 2, 3, 4].map((n) => (n === 2 ? request(n, opcode) : request(n)));
    const [a, b, error, d, e] = outcomes(await together(models, inputs));
    expect([a, b, d, e]).toEqual([0, 1, 3, 4]);
    expect(error).toBeInstanceOf(ExecutionError);
    expect(error).toMatchObject({ code: "TP_EXEC", name: "ExecutionError" });
    expect((error as Error).message).toMatch(/^Cannot run the model: .+/);
    expect(inputs.map((input) => "result" in input)).toEqual([true, true, false, true, true]);
    expect(models.stats()).toMatchObject({ succeeded: 4, failed: 1, inFlight: 0 });
  });

  it("is run again alone, and its mates too, when it failed the whole batch", async () => {
    const models = await open({ backend: BACKEND, max: 8 });
    await together(models, [request(0), request(1, Fault.failBatch), request(2)]);
    expect(models.stats().reruns).toBe(3);
  });

  it("fails its whole request, which fails once", async () => {
    const models = await open({ backend: BACKEND, max: 2 });
    const data = Float32Array.of(0, 0, 1, Fault.failRow, 0, 2, 0, 0, 3);
    expect(await rejection(models({ data }))).toBeInstanceOf(ExecutionError);
    expect(models.stats()).toMatchObject({ failed: 1, inFlight: 0, freeSlots: 1024 });
  });

  it("of ONNX Runtime fails alone: an index that is out of range", async () => {
    const models = await open({ backend: "OnnxTensor", model: gatherModel(), max: 8, instance_num: 1 });
    const calls = Array.from({ length: 40 }, (_, n) =>
      models({ data: BigInt64Array.of(n === 17 ? 99n : 3n) }),
    );
    const settled = await within(Promise.allSettled(calls), "the calls");
    expect(settled.flatMap(({ status }, n) => (status === "rejected" ? [n] : []))).toEqual([17]);
    expect((settled[17] as PromiseRejectedResult).reason).toBeInstanceOf(ExecutionError);
  });
});

describe("a failing run", () => {
  it("leaves the instance good for the next", async () => {
    const models = await open({ backend: BACKEND });
    for (let n = 0; n < 5; n++) {
      expect(await rejection(models(request(n, Fault.failBatch)))).toBeInstanceOf(ExecutionError);
      expect(outcomes(await together(models, [request(n)]))).toEqual([n]);
    }
  });

  it("that gives another number of rows is not split wrongly", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const settled = await together(models, [request(1), request(2, Fault.rowCount, 7), request(3)]);
    const [first, error, last] = outcomes(settled);
    expect([first, last]).toEqual([1, 3]);
    expect(error).toBeInstanceOf(ExecutionError);
    expect((error as Error).message).toMatch(/split/);
  });

  it("without memory is tried again row by row", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const settled = await together(models, [request(1), request(2, Fault.failBatch, -TP_ERR_MEMORY)]);
    const [first, error] = outcomes(settled);
    expect(first).toBe(1);
    expect(error).toBeInstanceOf(ExecutionError);
  });

  it("keeps the text as the engine said it, cut to what fits", async () => {
    const models = await open({ backend: BACKEND });
    const error = await rejection(models(request(1, Fault.failBatch)));
    expect(error.message).toContain("the batch fails: row 0 says so");
  });
});

describe("a lost device", () => {
  it("is told to everybody, and no batch is tried again", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const [first, second] = outcomes(await together(models, [request(1, Fault.deviceLost), request(2)]));
    for (const error of [first, second]) expect(error).toBeInstanceOf(DeviceLostError);
    expect(first).toMatchObject({ code: "TP_DEVICE", maybeExecuted: true });
    expect(await rejection(models(request(3)))).toBeInstanceOf(DeviceLostError);
    expect(models.stats().reruns).toBe(0);
  });
});

describe("swapped answers", () => {
  it("would be noticed by the tests that look for them", async () => {
    const models = await open({ backend: BACKEND, max: 4 });
    const settled = await together(models, [request(1, Fault.swap), request(2), request(3)]);
    expect(outcomes(settled)).toEqual([2, 1, 3]);
  });
});

describe("an instance that cannot be made", () => {
  it.each([1, 2, 3])(
    "fails pipe() with a ModelLoadError, and leaves nothing behind: instance %d of 3",
    async (n) => {
      const native = loadNative();
      const handles = native.handleCount();
      const loading = pipe({ backend: `(fail_create=${n})Fault`, instance_num: 3, log: () => {} });
      const error = await rejection(loading, "pipe()");
      expect(error).toBeInstanceOf(ModelLoadError);
      expect(error.message).toContain("fail_create");
      expect(native.handleCount()).toBe(handles);
    },
  );
});

describe("a pipe", () => {
  it("gives back every native handle when it closes", async () => {
    const native = loadNative();
    const handles = native.handleCount();
    const models = await open({ backend: BACKEND, instance_num: 3, max: 4 });
    expect(native.handleCount()).toBeGreaterThan(handles);
    await within(models([request(1), request(2), request(3)]), "the calls");
    await models.close();
    expect(native.handleCount()).toBe(handles);
  });
});
