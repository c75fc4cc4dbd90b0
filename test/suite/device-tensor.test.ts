/** DeviceTensor over the fake CUDA, whose two devices' memory is the host's. TEST_FAMILY names a TensorRT. */

import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { ConfigError, DeviceTensor, ExecutionError, InputError, Tensor, pipe } from "trtpipe";
import type { Pipe, PipeConfig } from "trtpipe";
import { GraphBuilder } from "../../src/onnx/graph-builder.ts";
import { deviceThreads, isEmpty, readBack } from "../support/device.ts";
import { runChild } from "../support/child.ts";
import { affineModel } from "../support/models.ts";
import { opener, rejection, within } from "../support/pipes.ts";
import { libraries, negationModel, useFakeCuda } from "../support/tensorrt.ts";
import { thrown } from "../caught.ts";

useFakeCuda();
process.env.TRTPIPE_TENSORRT = libraries[(process.env.TEST_FAMILY ?? "tensorrt10") as keyof typeof libraries];

const open = opener(afterEach);
const thread = deviceThreads(afterEach);
/** After all that a test has opened is closed again. */
afterEach(async () => {
  DeviceTensor.limit(0);
  await isEmpty(0);
  await isEmpty(1);
});

const negate = (config: PipeConfig = {}): Promise<Pipe> =>
  open({ backend: "TensorrtTensor", model: negationModel(), max: 4, ...config });
const ROW = [1, 2, 3, 4];
const row = (first: number): number[] => [first, first + 1, first + 2, first + 3];
const onDevice = (rows: readonly number[][], device_id = 0): Promise<DeviceTensor> =>
  DeviceTensor.from(rows, { device_id });
const minus = (values: readonly number[]): number[] => values.map((value) => -value);
const answer = async (
  models: Pipe,
  data: DeviceTensor | Float32Array,
): Promise<readonly (number | bigint)[]> => readBack((await within(models({ data }), "the call")).result);

describe("DeviceTensor", () => {
  it("brings a tensor to a device and back, whatever its type and size", async () => {
    const tensors = [
      Tensor.from([[1.5, 2.5, -3]]),
      Tensor.from([1n, 2n, 2n ** 60n]),
      Tensor.from([[true], [false]]),
      Tensor.from([7], { shape: [] }),
      Tensor.from(new Float32Array(0), { shape: [0, 3] }),
      Tensor.from(Uint8Array.from({ length: 9_000_001 }, (_, i) => i % 251)),
    ];
    for (const tensor of tensors) {
      using device = await DeviceTensor.from(tensor, { device_id: 1 });
      expect(device).toMatchObject({
        shape: tensor.shape,
        dtype: tensor.dtype,
        deviceId: 1,
        disposed: false,
      });
      expect(device.bytes).toBe(tensor.bytes);
      expect(device.rows).toBe(tensor.rows);
      const back = await device.toHost();
      expect(back.shape).toEqual(tensor.shape);
      expect(Buffer.compare(bytesOf(back), bytesOf(tensor))).toBe(0);
    }
  });

  it("leaves the event loop its turns while it copies", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    using device = await DeviceTensor.from(new Uint8Array(64 * 1024 * 1024));
    await device.toHost();
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });

  it("allocates memory that CUDA knows, and counts it", async () => {
    using tensor = await DeviceTensor.allocate([2, 3], "float16");
    expect(tensor.pointer).toBeGreaterThan(0n);
    expect(tensor.handle).toBeGreaterThan(0);
    expect(DeviceTensor.usage()).toEqual({ tensors: 1, bytes: 12, limitBytes: 0 });
  });

  it("may be disposed of twice, and is of no use afterwards", async () => {
    const tensor = await DeviceTensor.from(ROW);
    tensor.dispose();
    tensor.dispose();
    expect(tensor.disposed).toBe(true);
    expect(thrown(() => tensor.handle)).toBeInstanceOf(InputError);
    expect(thrown(() => tensor.pointer)).toBeInstanceOf(InputError);
    expect(thrown(() => tensor.share())).toBeInstanceOf(InputError);
    expect(await rejection(tensor.toHost())).toBeInstanceOf(InputError);
    const error = await rejection((await negate())({ data: tensor }));
    expect(error).toMatchObject({ code: "TP_INPUT", got: "one that was disposed of" });
  });

  it.each([
    ["shape", () => DeviceTensor.allocate([-1], "float32")],
    ["dtype", () => DeviceTensor.allocate([1], "float31" as "float32")],
    ["device_id", () => DeviceTensor.allocate([1], "float32", { device_id: 64 })],
    ["device_id", () => DeviceTensor.from(ROW, { device_id: 1.5 })],
    ["data", () => DeviceTensor.from("text" as never)],
  ])("refuses a wrong %s", async (input, make) => {
    expect(await rejection(make())).toMatchObject({ code: "TP_INPUT", input });
  });

  it("tells the number of devices to who names another", async () => {
    const error = await rejection(DeviceTensor.allocate([1], "float32", { device_id: 9 }));
    expect(error.message).toMatch(/expected a number below 2, the machine's CUDA devices, got 9/);
  });
});

function bytesOf({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

describe("as an input", () => {
  it("is read where it is, alone and in batches, mixed with host memory", async () => {
    const models = await negate({ batching_timeout: 5 });
    using first = await onDevice([row(10)]);
    using second = await onDevice([row(20)]);
    expect(await answer(models, first)).toEqual(minus(row(10)));
    const data = [first, Float32Array.from(ROW), second, first, Float32Array.from(row(30)), second];
    const answers = await Promise.all(data.map((one) => answer(models, one)));
    expect(answers).toEqual([row(10), ROW, row(20), row(10), row(30), row(20)].map(minus));
    expect(models.stats().failed).toBe(0);
  });

  it("is a request of several rows, also of more than a batch has", async () => {
    const models = await negate({ instance_num: 2 });
    const rows = Array.from({ length: 11 }, (_, i) => row(100 * i));
    using tensor = await onDevice(rows);
    const { result } = await models({ data: tensor });
    expect(result).toMatchObject({ shape: [11, 4] });
    expect(await readBack(result)).toEqual(minus(rows.flat()));
  });

  it("is given by name, beside host memory, also in pieces", async () => {
    const graph = new GraphBuilder("two");
    const a = graph.input("a", "float32", ["N", 2]);
    const b = graph.input("b", "int64", ["N", 3]);
    graph.output(graph.node("Neg", [a], ["p"]), "float32", ["N", 2]);
    graph.output(graph.node("Identity", [b], ["q"]), "int64", ["N", 3]);
    const models = await open({
      backend: "TensorrtTensor",
      model: graph.toBytes(),
      max: 4,
      output: "device",
    });
    using one = await DeviceTensor.from(Tensor.from([[1, 2]]));
    const two = Tensor.from([[1n, 2n, 3n]]);
    const { result } = await models({ data: { a: one, b: two } });
    const { p, q } = result as Record<string, DeviceTensor>;
    expect(await readBack(p)).toEqual([-1, -2]);
    expect(await readBack(q)).toEqual([1n, 2n, 3n]);
    const bytes = bytesOf(two);
    const pieces = [bytes.subarray(0, 5), bytes.subarray(5)];
    const apart = (await models({ data: { a: one, b: pieces } })).result as Record<string, DeviceTensor>;
    expect(await readBack(apart.p)).toEqual([-1, -2]);
    expect(await readBack(apart.q)).toEqual([1n, 2n, 3n]);
    using wrong = await DeviceTensor.from(Tensor.from([[1, 2, 3]]));
    expect(await rejection(models({ data: { a: one, b: wrong } }))).toMatchObject({ input: "b" });
    expect(models.stats()).toMatchObject({ refused: 1, freeSlots: models.describe().maxQueue });
  });

  it("is held until the request is done, however early it is disposed of", async () => {
    const models = await negate();
    const tensor = await onDevice([row(1), row(5)]);
    const call = models({ data: tensor });
    tensor.dispose();
    expect(DeviceTensor.usage()).toMatchObject({ tensors: 1, bytes: 32 });
    expect(await readBack((await call).result)).toEqual(minus([...row(1), ...row(5)]));
    await isEmpty(0);
  });

  it("is let go of by a request that is given up", async () => {
    const models = await negate();
    const tensor = await onDevice([row(1), row(5), row(9)]);
    const abort = new AbortController();
    const calls = Array.from({ length: 40 }, () => models({ data: tensor }, { signal: abort.signal }));
    abort.abort(new Error("enough"));
    for (const call of calls) expect((await rejection(call)).message).toBe("enough");
    tensor.dispose();
    await isEmpty(0);
    expect(await answer(models, Float32Array.from(ROW))).toEqual(minus(ROW));
  });

  it("is refused in a wrong shape or type, and on a device that the pipe does not use", async () => {
    const models = await negate({ device_id: 1 });
    using wrongShape = await DeviceTensor.from(Tensor.from([[1, 2, 3]]), { device_id: 1 });
    using wrongType = await DeviceTensor.allocate([1, 4], "int32", { device_id: 1 });
    using elsewhere = await onDevice([ROW]);
    const error = async (data: DeviceTensor): Promise<Error> => rejection(models({ data }));
    expect(await error(wrongShape)).toMatchObject({ input: "x", expected: "shape [rows, 4]" });
    expect(await error(wrongType)).toMatchObject({ got: "a Tensor of int32" });
    expect(await error(elsewhere)).toMatchObject({
      code: "TP_INPUT",
      expected: "a DeviceTensor on CUDA device 1",
      got: "one on device 0",
    });
    expect(models.stats().freeSlots).toBe(models.describe().maxQueue);
  });

  it.each([
    ["OnnxTensor", affineModel(), "OnnxTensor takes host memory"],
    ["Process[TensorrtTensor]", negationModel(), "Process runs in other processes"],
    ["(shape=4)Identity", undefined, "Identity takes host memory"],
  ])("is refused by %s", async (backend, model, why) => {
    const models = await open({ backend, ...(model && { model }) });
    using tensor = await onDevice([ROW]);
    const error = await rejection(models({ data: tensor }));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ expected: expect.stringContaining(why) as string, got: "a DeviceTensor" });
    expect(models.describe().devices).toEqual([]);
  });
});

describe('output: "device"', () => {
  it("leaves results on the device, which belong to the caller and go in again", async () => {
    const models = await negate({ output: "device", cuda_graph: 1 });
    const { result } = await models({ data: Float32Array.from(ROW) });
    expect(result).toBeInstanceOf(DeviceTensor);
    using once = result as DeviceTensor;
    expect(once).toMatchObject({ shape: [1, 4], dtype: "float32", deviceId: 0 });
    expect(await answer(models, once)).toEqual(ROW);
    await models.close();
    expect([...(await once.toHost()).data]).toEqual(minus(ROW));
  });

  it("gives each request its own of a batch, and joins what ran apart", async () => {
    const models = await negate({ output: "device", instance_num: 2, batching_timeout: 5 });
    const requests = Array.from({ length: 30 }, (_, i) =>
      Array.from({ length: 1 + (i % 7) }, (__, k) => row(100 * i + 10 * k)),
    );
    const answers = await Promise.all(
      requests.map(async (rows) => {
        const { result } = await models({ data: Tensor.from(rows) });
        expect(result).toMatchObject({ shape: [rows.length, 4] });
        return readBack(result);
      }),
    );
    expect(answers).toEqual(requests.map((rows) => minus(rows.flat())));
    await isEmpty(0);
  });

  it("leaves nothing behind of requests that are given up, refused or not taken", async () => {
    const models = await negate({ output: "device", instance_num: 2 });
    const abort = new AbortController();
    const data = Float32Array.from(ROW);
    const calls = Array.from({ length: 60 }, () => models({ data }, { signal: abort.signal }));
    setTimeout(() => abort.abort(new Error("enough")), 1);
    for (const call of await Promise.allSettled(calls)) {
      if (call.status === "fulfilled") await readBack(call.value.result);
    }
    const frozen: { data: Float32Array } = { data };
    const call = models(frozen);
    Object.freeze(frozen);
    expect(await rejection(call)).toMatchObject({ code: "TP_INPUT", input: "result" });
    expect(await rejection(models({ data: Float32Array.from([1]) }))).toBeInstanceOf(InputError);
  });

  it("is bounded: above the limit requests fail in words, and nothing is lost", async () => {
    const models = await negate({ output: "device" });
    const { result } = await models({ data: Float32Array.from(ROW) });
    DeviceTensor.limit(20);
    const error = await rejection(models({ data: Float32Array.from(ROW) }));
    expect(error).toBeInstanceOf(ExecutionError);
    expect(error.message).toMatch(/cannot get 16 bytes .* have 16 bytes, and their limit is 20/);
    expect(await rejection(DeviceTensor.from(ROW))).toBeInstanceOf(ExecutionError);
    expect(DeviceTensor.usage()).toEqual({ tensors: 1, bytes: 16, limitBytes: 20 });
    expect(await readBack(result)).toEqual(minus(ROW));
    expect(await answer(models, Float32Array.from(ROW))).toEqual(minus(ROW));
    expect(thrown(() => DeviceTensor.limit(-1))).toBeInstanceOf(InputError);
  });

  it("is refused where there is no device memory to leave it in", async () => {
    for (const backend of ["OnnxTensor", "Process[TensorrtTensor]"]) {
      const error = await rejection(pipe({ backend, model: negationModel(), output: "device" }));
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ field: "output" });
    }
  });
});

describe("several devices", () => {
  it("have an engine each, and instances in turn", async () => {
    const models = await negate({ device_id: [0, 1], instance_num: 2, output: "device", max: 1 });
    expect(models.describe().devices).toEqual([0, 1]);
    using first = await onDevice([row(10)], 0);
    using second = await onDevice([row(20)], 1);
    const seen = new Set<number>();
    for (let tries = 0; seen.size < 2 && tries < 50; tries++) {
      const calls = Array.from({ length: 16 }, (_, i) => models({ data: i % 2 ? second : first }));
      for (const [i, { result }] of (await Promise.all(calls)).entries()) {
        seen.add((result as DeviceTensor).deviceId);
        expect(await readBack(result)).toEqual(minus(row(i % 2 ? 20 : 10)));
      }
    }
    expect([...seen].toSorted()).toEqual([0, 1]);
  });
});

describe("wrap()", () => {
  it("lends somebody's memory, whose release is called once, when nobody has it any more", async () => {
    const models = await negate();
    const base = await onDevice([row(1), row(5)]);
    let released = 0;
    const release = (): void => void released++;
    const tensor = await DeviceTensor.wrap(base.pointer + 16n, [1, 4], "float32", { release });
    expect(tensor.pointer).toBe(base.pointer + 16n);
    expect(await answer(models, tensor)).toEqual(minus(row(5)));
    const call = models({ data: tensor });
    tensor.dispose();
    tensor.dispose();
    expect(released).toBe(0);
    await call;
    await within(
      until(() => released > 0),
      "release",
    );
    await models.close();
    expect(released).toBe(1);
    base.dispose();
  });

  it("calls release at once where it fails", async () => {
    using base = await onDevice([ROW]);
    const calls: [bigint, number[], number][] = [
      [4096n, [1], 0],
      [base.pointer, [5], 0],
      [base.pointer, [1], 1],
      [0n, [1], 0],
      [base.pointer, [-1], 0],
      [base.pointer, [1], 99],
    ];
    let released = 0;
    for (const [pointer, shape, device_id] of calls) {
      const options = { device_id, release: () => void released++ };
      expect(await rejection(DeviceTensor.wrap(pointer, shape, "float32", options))).toBeInstanceOf(
        InputError,
      );
    }
    expect(released).toBe(calls.length);
    const nothing = DeviceTensor.wrap(base.pointer, [1], "float32", {} as { release: () => void });
    expect(await rejection(nothing)).toMatchObject({ input: "release" });
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe("other threads", () => {
  it("attach the same memory, and keep it for themselves", async () => {
    const tensor = await onDevice([ROW], 1);
    const worker = thread();
    const shared = tensor.share();
    const read = { data: ROW, shape: [1, 4], deviceId: 1 };
    expect(await worker.ask({ shared, keep: true })).toEqual({ ...read, disposed: false });
    tensor.dispose();
    expect(DeviceTensor.usage({ device_id: 1 }).tensors).toBe(1);
    using again = DeviceTensor.attach(shared);
    expect([...(await again.toHost()).data]).toEqual(ROW);
    await worker.ask("let go");
  });

  it("are told that a tensor is gone", async () => {
    const tensor = await DeviceTensor.from(ROW);
    const shared = tensor.share();
    expect(structuredClone(shared)).toEqual(shared);
    tensor.dispose();
    // Another one in its place, perhaps: the handle's generation tells.
    using other = await DeviceTensor.from(ROW);
    expect(thrown(() => DeviceTensor.attach(shared))).toBeInstanceOf(InputError);
    const told = await thread().ask({ shared, keep: false });
    expect(told).toEqual({ error: expect.stringContaining("InputError: ") as string });
    expect(other.disposed).toBe(false);
  });

  it.each([
    ["shared", null],
    ["shared", { trtpipe: 1, pid: process.pid, handle: -1 }],
    ["shared.trtpipe", { trtpipe: 0, pid: process.pid, handle: 1 }],
    ["shared.pid", { trtpipe: 1, pid: 1, handle: 1 }],
  ])("cannot attach what is no %s", (field, shared) => {
    expect(thrown(() => DeviceTensor.attach(shared as never))).toMatchObject({ code: "TP_CONFIG", field });
  });
});

describe("in a process of its own", () => {
  const run = (args: string[], env: Record<string, string> = {}): ReturnType<typeof runChild> =>
    runChild("test/support/device-alone.mjs", { args, env: { DENO_V8_FLAGS: "--expose-gc", ...env } });

  beforeAll(useFakeCuda);

  it("what was forgotten is given back by the collector, with a warning", async () => {
    const { lines, stderr, code } = await run(["collect"]);
    expect({ lines, code }).toEqual({ lines: ["2 tensors, then 1, which has 5,6"], code: 0 });
    expect(stderr).toContain(
      "A DeviceTensor of float32 [4] on CUDA device 0 was collected without dispose()",
    );
  });

  it("without CUDA, the error says what is missing", async () => {
    const { lines, code } = await run(["allocate"], { TRTPIPE_CUDA: "/nowhere/libcuda.so.1" });
    expect(code).toBe(0);
    expect(lines[0]).toMatch(
      /^ConfigError TP_CONFIG: Cannot use device_id: expected a CUDA device that can be/,
    );
    expect(lines[0]).toMatch(/no CUDA driver \(tried "\/nowhere\/libcuda\.so\.1"/);
  });
});
