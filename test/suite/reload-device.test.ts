/** reload() of pipes that take and give device memory, over the fake CUDA, which has two devices. */

import { afterEach, describe, expect, it } from "vitest";
import { ConfigError, DeviceTensor, ExecutionError } from "trtpipe";
import type { Pipe, PipeConfig } from "trtpipe";
import { loadNative } from "../../src/native/load.ts";
import { isEmpty, readBack } from "../support/device.ts";
import { opener, rejection, until, within } from "../support/pipes.ts";
import { libraries, negationModel, unaryModel, useFakeCuda } from "../support/tensorrt.ts";

useFakeCuda();
process.env.TRTPIPE_TENSORRT = libraries.tensorrt10;

const open = opener(afterEach);
afterEach(async () => {
  await isEmpty(0);
  await isEmpty(1);
});

const ROW = [-1, 2, -3, 4];
const NEGATED = [1, -2, 3, -4];
const negate = (config: PipeConfig = {}): Promise<Pipe> =>
  open({ backend: "TensorrtTensor", model: negationModel(), max: 4, ...config });
const answer = async (models: Pipe, data: DeviceTensor | Float32Array): Promise<(number | bigint)[]> =>
  readBack((await within(models({ data }), "the call")).result);
const reload = (models: Pipe, options: Parameters<Pipe["reload"]>[0]): Promise<void> =>
  within(models.reload(options), "reload()", 30_000);

describe("a reload", () => {
  it("opens the model on each device, and closes the old one on each", async () => {
    const native = loadNative();
    const models = await negate({ device_id: [0, 1], instance_num: 2, output: "device", max: 1 });
    using tensor = await DeviceTensor.from([ROW]);
    expect(await answer(models, tensor)).toEqual(NEGATED);
    const handles = native.handleCount();
    await reload(models, { model: unaryModel("Abs") });
    await until("the old engines are released", () => native.handleCount() === handles);
    expect(models.describe()).toMatchObject({ devices: [0, 1], reloads: 1 });
    for (let i = 0; i < 8; i++) expect(await answer(models, tensor)).toEqual([1, 2, 3, 4]);
  });

  it("may put other devices in place, which read from the old ones", async () => {
    const native = loadNative();
    const models = await negate({ device_id: [0, 1], instance_num: 2, output: "device" });
    using tensor = await DeviceTensor.from([ROW], { device_id: 0 });
    const handles = native.handleCount();
    await reload(models, { device_id: 1 });
    await until("the old engines are released", () => native.handleCount() === handles - 1);
    expect(models.describe().devices).toEqual([1]);
    const { result } = await models({ data: tensor });
    expect((result as DeviceTensor).deviceId).toBe(1);
    expect(await readBack(result)).toEqual(NEGATED);
  });

  it("that fails leaves nothing behind on any device", async () => {
    const native = loadNative();
    const models = await negate({ device_id: [0, 1], instance_num: 2 });
    const handles = native.handleCount();
    const error = await rejection(models.reload({ device_id: [1, 9] }));
    expect(error).toMatchObject({ code: "TP_MODEL" });
    await until("the new engine is released", () => native.handleCount() === handles);
    expect(await answer(models, Float32Array.from(ROW))).toEqual(NEGATED);
  });

  it("with a backend of host memory lets a DeviceTensor fail alone, until a device is back", async () => {
    const models = await negate({ batching_timeout: 5 });
    const tensor = await DeviceTensor.from([ROW]);
    expect(await answer(models, tensor)).toEqual(NEGATED);
    await reload(models, { backend: "OnnxTensor" });
    expect(models.describe().devices).toEqual([]);
    const host = Float32Array.from(ROW);
    const calls = [host, tensor, host, host].map((data) => answer(models, data));
    const [before, failed, ...after] = await Promise.allSettled(calls);
    for (const call of [before, ...after]) expect(call).toMatchObject({ value: NEGATED });
    expect(failed).toMatchObject({ status: "rejected" });
    const { reason } = failed as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(ExecutionError);
    expect((reason as Error).message).toContain("the backend that a reload() put in place takes host memory");
    await reload(models, { backend: "TensorrtTensor" });
    expect(models.describe().devices).toEqual([0]);
    expect(await answer(models, tensor)).toEqual(NEGATED);
    tensor.dispose();
    await isEmpty(0);
  });

  it("with a device's backend takes host memory where the pipe was made for it", async () => {
    const models = await negate({ backend: "OnnxTensor" });
    await reload(models, { backend: "TensorrtTensor" });
    expect(models.describe()).toMatchObject({ backend: "TensorrtTensor", devices: [] });
    using tensor = await DeviceTensor.from([ROW]);
    expect(await rejection(models({ data: tensor }))).toMatchObject({ code: "TP_INPUT" });
    expect(await answer(models, Float32Array.from(ROW))).toEqual(NEGATED);
  });

  it.each([
    ["output", { backend: "OnnxTensor" }],
    ["output", { output: "host" }],
    ["device_id", { device_id: [0, 1] }],
  ])("cannot change where results are, or have idle devices: %s of %j", async (field, options) => {
    const models = await negate({ output: "device" });
    const error = await rejection(models.reload(options as Parameters<Pipe["reload"]>[0]));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ field });
    expect(await answer(models, Float32Array.from(ROW))).toEqual(NEGATED);
  });
});
