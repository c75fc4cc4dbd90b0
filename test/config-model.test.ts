import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError, InvariantError, ModelLoadError } from "../src/errors.ts";
import { PAYLOAD_BYTES_MAX, roomForOpen } from "../src/pipe/capacity.ts";
import { parseConfig } from "../src/pipe/config.ts";
import { PINNED_BYTES } from "../src/pipe/config-tensorrt.ts";
import { pinnedSlots } from "../src/pipe/pinned.ts";
import { fullShape, memoryShape, modelSpec, openDims, slotStrides, specForPublic } from "../src/pipe/spec.ts";
import type { ModelSpec } from "../src/pipe/spec.ts";
import { caught } from "./caught.ts";
import { root } from "./tidy/sources.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

const F32 = 1;
const I64 = 7;

interface Description {
  backend?: string;
  batch?: string;
  batch_size?: number;
  inputs?: object[];
  outputs?: object[];
}

/** What tp_model_describe tells about a model. */
function description(fields: Description = {}): object {
  return {
    backend: "OnnxTensor",
    engine: "ONNX Runtime 1.2.3",
    library: "/lib/ort.so",
    batch: "dynamic",
    batch_size: 1,
    inputs: [{ name: "image", dtype: F32, shape: [3, 224, 224] }],
    outputs: [{ name: "scores", dtype: F32, shape: [1000] }],
    ...fields,
  };
}

function spec(fields?: Description, config: object = {}): ModelSpec {
  return modelSpec(description(fields), parseConfig({ model: "m.onnx", ...config }));
}

const onDevice: Description = { backend: "TensorrtTensor" };

describe("device memory", () => {
  it("has a record for each input in a slot, where a backend can read it", () => {
    const host = spec(onDevice, { max: 4 });
    expect(host.device).toEqual({ ids: [0], outputs: false, pinnedBytes: PINNED_BYTES });
    expect(slotStrides(host)).toEqual([602_112, 4000, 8]);
    expect(slotStrides(spec({}, { max: 4 }))).toEqual([602_112, 4000]);
  });

  it("leaves no room in a slot for outputs that stay there", () => {
    const config = { output: "device", device_id: [2, 1], instance_num: 2, pinned_bytes: 5 };
    const device = spec(onDevice, config);
    expect(device.device).toEqual({ ids: [2, 1], outputs: true, pinnedBytes: 5 });
    expect(slotStrides(device)).toEqual([602_112, 0, 8]);
  });
});

describe("slots that a device reads", () => {
  const slots = (fields: Description, config: object = {}): number => pinnedSlots(spec(fields, config));

  it("are as many as pinned_bytes holds, and none where the processor reads", () => {
    expect(slots(onDevice)).toBe(Math.floor(PINNED_BYTES / 602_112));
    expect(slots(onDevice, { pinned_bytes: 3 * 602_112 + 5 })).toBe(3);
    expect(slots(onDevice, { max_queue: 20 })).toBe(20);
    expect(slots(onDevice, { pinned_bytes: 0 })).toBe(0);
    expect(slots({})).toBe(0);
    expect(slots({ backend: "Process" })).toBe(0);
  });

  it("count tensors that are worth it, as csrc/pins.c does", () => {
    const outputs = (shape: number[] | null): Description => ({
      ...onDevice,
      outputs: [{ name: "y", dtype: F32, shape }],
    });
    const config = { pinned_bytes: 10 * 602_112 };
    expect(slots(outputs([4095]), config)).toBe(10);
    expect(slots(outputs([150_528]), config)).toBe(5);
    expect(slots(outputs([-1, 768]), config)).toBe(10);
    expect(slots(outputs([150_528]), { ...config, output: "device" })).toBe(10);
    expect(slots({ ...onDevice, inputs: [{ name: "x", dtype: F32, shape: [4095] }] }, config)).toBe(0);
  });

  it("have the C library's default", () => {
    const header = readFileSync(join(root, "csrc", "include", "trtpipe.h"), "utf8");
    const text = header.replaceAll(/\s*\n \*\s*/g, " ");
    expect(/ pinned_bytes .*?default (\d+)/.exec(text)?.[1]).toBe(String(PINNED_BYTES));
  });
});

const openImage: Description = { inputs: [{ name: "image", dtype: F32, shape: [3, -1, -1] }] };
const tokens: Description = {
  inputs: [
    { name: "ids", dtype: I64, shape: [-1] },
    { name: "mask", dtype: I64, shape: [-1] },
  ],
  outputs: [{ name: "hidden", dtype: F32, shape: [-1, 768] }],
};

describe("modelSpec", () => {
  it("knows a model of fixed item shapes through and through", () => {
    const model = spec({}, { max: 4 });
    const image = {
      name: "image",
      dtype: "float32",
      shape: [3, 224, 224],
      largest: [3, 224, 224],
      smallest: [3, 224, 224],
      open: [],
      itemElements: 150_528,
      strideBytes: 602_112,
      tag: "Float32Array",
    };
    expect(model).toEqual({
      backend: "OnnxTensor",
      device: null,
      engine: "ONNX Runtime 1.2.3",
      engineLibrary: "/lib/ort.so",
      note: "",
      batch: "dynamic",
      batchSize: 1,
      inputs: [image],
      outputs: [{ name: "scores", dtype: "float32", shape: [1000], largest: [1000], strideBytes: 4000 }],
      maxRows: 4,
      minRows: 1,
      maxQueue: 1024,
      requestRows: 1024,
      only: image,
    });
    expect(structuredClone(model)).toEqual(model);
  });

  it("takes the largest batch from max, else from the model, else one", () => {
    expect(spec().maxRows).toBe(1);
    expect(spec({ batch: "fixed", batch_size: 8 }).maxRows).toBe(8);
    expect(spec({ batch: "fixed", batch_size: 8 }, { max: 4 }).maxRows).toBe(4);
    expect(spec({ batch: "none" }).maxRows).toBe(1);
    expect(spec({}, { max: "6x3x224x224" }).maxRows).toBe(6);
    expect(spec({}, { max: 4, min: 2 }).minRows).toBe(2);
    expect(spec({ batch: "fixed", batch_size: 4 }, { min: 4 }).minRows).toBe(4);
  });

  it("refuses a batch that the model does not allow, naming both numbers", () => {
    const fixed = caught(ModelLoadError, () => spec({ batch: "fixed", batch_size: 1 }, { max: 4 }));
    expect(fixed.message).toBe(
      'Cannot use model m.onnx: max is 4 rows, but dimension 0 of input "image" is 1',
    );
    expect(fixed).toMatchObject({ path: "m.onnx", stage: "parse" });
    caught(ModelLoadError, () => spec({ batch: "fixed", batch_size: 3 }, { max: 4 }));
    const none = caught(ModelLoadError, () => spec({ batch: "none" }, { max: 4, model: new Uint8Array(1) }));
    expect(none.message).toBe(
      "Cannot use model bytes: max is 4 rows, but its inputs and outputs have no common first dimension " +
        "to join batches along",
    );
    expect(spec({ batch: "none" }, { max: 1 }).maxRows).toBe(1);
    expect(caught(ConfigError, () => spec({}, { min: 2 }))).toMatchObject({
      field: "min",
      value: "2",
      expected: "at most the largest batch, which is 1 row",
    });
  });

  it("asks for max where inner dimensions are open, with an example", () => {
    const error = caught(ConfigError, () => spec(openImage, { max: 4 }));
    expect(error.message).toBe(
      'Cannot use max: expected full shapes such as "4x3x640x640", because input "image" has the shape ' +
        "[-1, 3, -1, -1], got 4 (-1 is open)",
    );
    expect(caught(ConfigError, () => spec({ ...tokens, batch: "none" })).expected).toBe(
      'full shapes such as "640,640", because input "ids" has the shape [-1]',
    );
    // The example is itself a max that is right.
    expect(spec(openImage, { max: "4x3x640x640" }).maxRows).toBe(4);
    expect(spec({ ...tokens, batch: "none" }, { max: "640,640" }).maxRows).toBe(1);
  });

  it("sizes slots by max, and bounds requests by min", () => {
    const model = spec(openImage, { max: "4x3x640x320", min: "1x3x32x0" });
    expect(model.inputs[0]).toMatchObject({
      largest: [3, 640, 320],
      smallest: [3, 32, 0],
      open: [1, 2],
      itemElements: -1,
      strideBytes: 3 * 640 * 320 * 4,
    });
    expect(model.only).toBeNull();
    expect(spec(openImage, { max: "4x3x640x320" }).inputs[0].smallest).toEqual([3, 0, 0]);
  });

  it.each([
    [openImage, "4x4x640x640", 'a shape for input "image" that fits [-1, 3, -1, -1]', "(it has 4x4x640x640)"],
    [openImage, "4x3x640", 'a shape for input "image" that fits [-1, 3, -1, -1]', "(it has 4x3x640)"],
    [{}, "4x3x224x225", 'a shape for input "image" that fits [-1, 3, 224, 224]', "(it has 4x3x224x225)"],
    [tokens, "4x128", '2 shapes with "," between them, for the inputs "ids", "mask"', "(it has 1)"],
    [tokens, "4x128,2x128", "shapes that all begin with the same number of rows", '"4x128,2x128"'],
    [tokens, "70000x128,70000x128", "shapes that all begin with the same number of rows", "70000"],
  ])("refuses a max that does not fit the model", (fields, max, expected, detail) => {
    const error = caught(ConfigError, () => spec(fields, { max }));
    expect(error).toMatchObject({ field: "max", expected });
    expect(error.message).toContain(detail);
  });

  it("refuses a min that does not fit the model", () => {
    const error = caught(ConfigError, () => spec({}, { max: "4x3x224x224", min: "1x3x224x200" }));
    expect(error).toMatchObject({
      field: "min",
      expected: 'a shape for input "image" that fits [-1, 3, 224, 224]',
    });
  });

  it("takes whole shapes where there is no batch dimension", () => {
    const model = spec({ ...tokens, batch: "none" }, { max: "128,64" });
    expect(model.inputs.map(({ largest }) => largest)).toEqual([[128], [64]]);
    expect(model).toMatchObject({ maxRows: 1, requestRows: 1 });
    expect(fullShape(model, [128])).toEqual([128]);
  });

  it("shows full shapes to people", () => {
    const outputs = [
      { name: "a", dtype: 9, shape: [] },
      { name: "b", dtype: 16, shape: null },
    ];
    const dynamic = spec({ outputs });
    expect(specForPublic(dynamic, dynamic.inputs)).toEqual([
      { name: "image", dtype: "float32", shape: [-1, 3, 224, 224] },
    ]);
    expect(specForPublic(dynamic, dynamic.outputs)).toEqual([
      { name: "a", dtype: "bool", shape: [-1] },
      { name: "b", dtype: "bfloat16", shape: null },
    ]);
    const fixed = spec({ batch: "fixed", batch_size: 2 });
    expect(specForPublic(fixed, fixed.inputs)[0].shape).toEqual([2, 3, 224, 224]);
    const none = spec({ batch: "none" });
    expect(specForPublic(none, none.inputs)[0].shape).toEqual([3, 224, 224]);
  });

  it("refuses models that nothing can be asked of", () => {
    expect(caught(ModelLoadError, () => spec({ inputs: [] })).message).toContain("it has no inputs");
    const unknown = { inputs: [{ name: "x", dtype: F32, shape: null }] };
    expect(caught(ModelLoadError, () => spec(unknown)).message).toContain('input "x" has no known number');
  });

  it.each([
    ["text", "description"],
    [null, "description"],
    [{ ...description(), batch: "both" }, "batch"],
    [{ ...description(), batch_size: 0 }, "batch_size"],
    [{ ...description(), engine: undefined }, "engine"],
    [{ ...description(), inputs: {} }, "inputs"],
    [{ ...description(), inputs: [1] }, "inputs[0]"],
    [{ ...description(), inputs: [{ name: "x", dtype: 8, shape: [] }] }, "inputs[0].dtype"],
    [{ ...description(), inputs: [{ name: "x", dtype: 1, shape: [-2] }] }, "inputs[0].shape"],
    [{ ...description(), outputs: [{ name: 1, dtype: 1, shape: [] }] }, "outputs[0].name"],
    [
      { ...description(), outputs: [{ name: "y", dtype: 1, shape: [0, 0, 0, 0, 0, 0, 0, 0, 0] }] },
      "outputs[0].shape",
    ],
  ])("takes a broken description for our own fault", (broken, where) => {
    const error = caught(InvariantError, () => modelSpec(broken, parseConfig({ model: "m" })));
    expect(error.message).toContain(`the model's ${where} is `);
  });
});

describe("memoryShape", () => {
  it("has room for the open dimensions of a slot", () => {
    const config = parseConfig({
      model: "m",
      max: "4x128,4x128",
      instance_num: 2,
      max_callers: 3,
      max_queue: 8,
    });
    const model = modelSpec(description(tokens), config);
    expect(memoryShape(model, config)).toEqual({
      instances: 2,
      channels: 3,
      slots: 8,
      maxRows: 4,
      inputDims: 2,
      outputDims: 8,
      strideBytes: [1024, 1024, 64 * KIB],
      groups: 64,
    });
    expect(openDims(model.inputs)).toEqual([
      { shape: [-1], largest: [128] },
      { shape: [-1], largest: [128] },
    ]);
    expect(openDims(model.outputs)).toEqual([{ shape: [-1, 768], largest: null }]);
  });

  it("has none where everything is fixed", () => {
    const config = parseConfig({ model: "m" });
    const shape = memoryShape(modelSpec(description(), config), config);
    expect(shape).toMatchObject({ inputDims: 0, outputDims: 0, groups: 1, strideBytes: [602_112, 4000] });
  });
});

describe("slots", () => {
  const bytes = (itemBytes: number, config: object = {}): ModelSpec =>
    spec(
      {
        inputs: [{ name: "x", dtype: 2, shape: [itemBytes] }],
        outputs: [{ name: "y", dtype: 2, shape: [] }],
      },
      config,
    );

  it("are 1024, or what fits in 1 GiB, but one largest batch at least", () => {
    expect(bytes(0).maxQueue).toBe(1024);
    expect(bytes(MIB - 1).maxQueue).toBe(1024);
    expect(bytes(2 * MIB - 1).maxQueue).toBe(512);
    expect(bytes(GIB - 1).maxQueue).toBe(1);
    expect(bytes(2 * GIB).maxQueue).toBe(1);
    expect(bytes(64 * MIB, { max: 32 }).maxQueue).toBe(32);
    expect(bytes(1, { max: 65_536 }).maxQueue).toBe(65_536);
    expect(bytes(MIB, { max_queue: 2000 }).maxQueue).toBe(2000);
  });

  it("are refused before they are allocated when they take too much", () => {
    const queue = caught(ConfigError, () => bytes(MIB - 1, { max_queue: 4097 }));
    expect(queue.message).toBe(
      "Cannot use max_queue: expected rows that take at most 4294967296 bytes together, got 4097 " +
        "(4097 rows of 1048576 bytes are 4296015872 bytes)",
    );
    expect(bytes(MIB - 1, { max_queue: 4096 }).maxQueue * MIB).toBe(PAYLOAD_BYTES_MAX);
    expect(caught(ConfigError, () => bytes(64 * MIB, { max: 65 }))).toMatchObject({
      field: "max",
      value: "65",
    });
    const shape = "1x2147483647x2147483647x2147483647";
    const huge = caught(ConfigError, () =>
      spec({ inputs: [{ name: "x", dtype: 1, shape: [-1, -1, -1] }] }, { max: shape }),
    );
    expect(huge.field).toBe("max");
  });

  it("must hold a largest batch", () => {
    const fixed = { batch: "fixed", batch_size: 8 };
    expect(caught(ConfigError, () => spec(fixed, { max_queue: 7 }))).toMatchObject({
      field: "max_queue",
      value: "7",
      expected: "at least the largest batch, which is 8 rows",
    });
    const rows = { batch: "fixed", batch_size: 100_000 };
    expect(caught(ConfigError, () => spec(rows)).expected).toBe("at most 65536 rows");
    expect(spec(rows, { max: 4 }).maxRows).toBe(4);
  });
});

describe("roomForOpen", () => {
  it("is what the largest input takes, within its bounds", () => {
    expect(roomForOpen([10], [null])).toBe(64 * KIB);
    expect(roomForOpen([100_000], [null, 4000])).toBe(99_968);
    expect(roomForOpen([602_112], [null])).toBe(446_464);
    expect(roomForOpen([3 * MIB], [null])).toBe(64 * KIB);
  });

  it("keeps 1024 slots within 1 GiB wherever the rest of a slot does", () => {
    const sizes = fc.array(fc.oneof(fc.nat(4 * MIB), fc.nat(4096)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(sizes, fc.array(fc.option(fc.nat(MIB)), { maxLength: 8 }), (inputs, outputs) => {
        const room = roomForOpen(inputs, outputs);
        const open = outputs.filter((output) => output === null).length;
        const fixed = [...inputs, ...outputs].reduce<number>((sum, size) => sum + (size ?? 0), 0);
        expect(room % 64).toBe(0);
        expect(room).toBeGreaterThanOrEqual(4 * KIB);
        expect(room).toBeLessThanOrEqual(MIB);
        const fits = fixed + open * 4 * KIB <= MIB;
        expect(open === 0 || !fits || fixed + open * room <= MIB).toBe(true);
      }),
    );
  });
});
