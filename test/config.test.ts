import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import * as fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { ConfigError } from "../src/errors.ts";
import { spinUsOf } from "../src/pipe/busy-wait.ts";
import { parseConfig } from "../src/pipe/config.ts";
import { engineOptions, processOptions } from "../src/pipe/engine-options.ts";
import { loadMessage } from "../src/pipe/load-message.ts";
import { caught, thrownClass } from "./caught.ts";

const KEYS = [
  "model",
  "backend",
  "instance_num",
  "batching_timeout",
  "run_timeout",
  "max",
  "min",
  "max_queue",
  "max_callers",
  "intra_op_threads",
  "session",
  "warm_up",
  "self_check",
  "spin_us",
  "onnxruntime",
  "mean",
  "std",
  "input_layout",
  "input_dtype",
  "image_input",
  "precision",
  "precision::fp32",
  "precision::fp16",
  "precision::bf16",
  "device_id",
  "model::cache",
  "max_workspace_size",
  "optimization_level",
  "cuda_graph",
  "pinned_bytes",
  "device_spin_us",
  "compute_capability",
  "hardware_compatibility",
  "tensorrt",
  "output",
  "log",
  "workerUrl",
] as const;

const parse = (fields: object): ReturnType<typeof parseConfig> => parseConfig({ model: "m.onnx", ...fields });
const refused = (fields: object): ConfigError => caught(ConfigError, () => parse(fields));

describe("parseConfig", () => {
  it("gives every absent or undefined value its default", () => {
    const parsed = parseConfig({
      ...Object.fromEntries(KEYS.map((key) => [key, undefined])),
      model: "m.onnx",
    });
    const { log, ...rest } = parsed;
    expect(rest).toEqual({
      backend: null,
      model: "m.onnx",
      instanceNum: 1,
      batchingTimeoutMs: 0,
      runTimeoutMs: 0,
      max: null,
      min: null,
      maxQueue: null,
      maxCallers: 16,
      intraOpThreads: availableParallelism(),
      session: "shared",
      warmUp: 1,
      selfCheck: true,
      spinUs: null,
      onnxruntime: null,
      tensorrt: {
        deviceIds: null,
        cache: null,
        workspaceMb: null,
        optimizationLevel: null,
        cudaGraph: null,
        pinnedBytes: null,
        deviceSpinUs: null,
        computeCapability: null,
        hardwareCompatibility: null,
        library: null,
      },
      output: "host",
      precision: { precision: null, conversion: null, layers: false },
      image: null,
      workerUrl: null,
    });
    const stderr = vi.spyOn(console, "error").mockReturnValue();
    for (const level of ["debug", "info", "warn", "error"] as const) log(level, `a ${level}`, {});
    expect(stderr.mock.calls).toEqual([["trtpipe: a warn"], ["trtpipe: a error"]]);
    stderr.mockRestore();
  });

  it("takes numbers and TorchPipe's texts alike", () => {
    const numbers = {
      instance_num: 2,
      batching_timeout: 5.5,
      max: 4,
      min: 2,
      max_queue: 64,
      max_callers: 3,
      intra_op_threads: 1,
      warm_up: 0,
      spin_us: 40,
    };
    const texts = Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, String(value)]));
    const [fromNumbers, fromTexts] = [parse(numbers), parse(texts)];
    expect(fromTexts).toEqual({
      ...fromNumbers,
      max: { given: "4", rows: 4, shapes: null },
      min: { given: "2", rows: 2, shapes: null },
    });
    expect(fromNumbers).toMatchObject({
      instanceNum: 2,
      batchingTimeoutMs: 5.5,
      max: { given: 4, rows: 4, shapes: null },
      maxQueue: 64,
      maxCallers: 3,
      intraOpThreads: 1,
      warmUp: 0,
      spinUs: 40,
    });
  });

  it("shares the cores out between the instances, at least one each", () => {
    expect(parse({ instance_num: 2 }).intraOpThreads).toBe(
      Math.max(1, Math.floor(availableParallelism() / 2)),
    );
    expect(parse({ instance_num: 64 }).intraOpThreads).toBe(
      Math.max(1, Math.floor(availableParallelism() / 64)),
    );
  });

  it("resolves the backend", () => {
    expect(parse({ backend: "SyncTensor[OnnxTensor]" }).backend).toMatchObject({ name: "OnnxTensor" });
    expect(refused({ backend: "Onnx" }).field).toBe("backend");
    expect(refused({ backend: "A[B" }).message).toContain("^ here");
    expect(refused({ backend: 1 }).expected).toContain("a bracket expression");
  });
});

/** Numbers and texts that no number field takes. */
const NO_NUMBERS = [
  NaN,
  Infinity,
  -Infinity,
  -1,
  2 ** 31,
  2 ** 53,
  "",
  " ",
  "-1",
  "+1",
  "5ms",
  "0x4",
  "1e1",
  "2x",
  "١",
  "NaN",
  "9".repeat(400),
  "1".repeat(5000),
  null,
  true,
  [],
  [2],
  {},
  () => 1,
  2n,
  Symbol("s"),
  new Number(2),
  new Date(0),
];
const RANGES: Readonly<Record<string, readonly [low: number, high: number, expected: string]>> = {
  instance_num: [1, 64, "an integer from 1 to 64"],
  batching_timeout: [0, 2 ** 31 - 1, "a number of ms from 0 to 2147483647"],
  max: [1, 65_536, 'an integer from 1 to 65536, or full shapes such as "4x3x640x640"'],
  min: [1, 65_536, 'an integer from 1 to 65536, or full shapes such as "4x3x640x640"'],
  max_queue: [1, 65_536, "an integer from 1 to 65536"],
  max_callers: [1, 256, "an integer from 1 to 256"],
  intra_op_threads: [1, 1024, "an integer from 1 to 1024"],
  warm_up: [0, 1000, "an integer from 0 to 1000"],
  run_timeout: [0, 86_400_000, "an integer from 0 to 86400000"],
  spin_us: [0, 10_000, "a number of microseconds from 0 to 10000"],
};

describe.each(Object.entries(RANGES))("%s", (field, [low, high, expected]) => {
  it("takes its whole range, as number and as text", () => {
    for (const value of [low, high, String(low), String(high)]) {
      expect(() => parse({ [field]: value })).not.toThrow();
    }
  });

  it("refuses everything else, naming field, value and what is expected", () => {
    const fraction = expected.startsWith("an integer") ? [1.5, "1.5"] : ["1.", ".5", "1.5.5"];
    for (const value of [...NO_NUMBERS, ...fraction, low - 1, high + 1, String(high + 1)]) {
      const error = refused({ [field]: value });
      expect(error.field).toBe(field);
      const shapes = typeof value === "string" && /[x,]/.test(value) && ["max", "min"].includes(field);
      expect(error.expected).toContain(shapes ? "shapes" : expected);
      expect(error.message).toContain(`Cannot use ${field}: expected ${error.expected}, got ${error.value}`);
      expect(error.message.length).toBeLessThan(300);
    }
  });
});

describe("max and min", () => {
  it("take full shapes, one for each input", () => {
    expect(parse({ max: "4x3x640x640" }).max).toEqual({
      given: "4x3x640x640",
      rows: 4,
      shapes: [[4, 3, 640, 640]],
    });
    expect(parse({ max: "4x3, 4,4x0x2147483647" }).max).toMatchObject({
      rows: 4,
      shapes: [[4, 3], [4], [4, 0, 2147483647]],
    });
    // Which dimension is a batch is only known once the model is.
    expect(parse({ max: "1x512,77x4" }).max).toMatchObject({ rows: null });
    expect(parse({ max: "480000x2" }).max).toMatchObject({ rows: null });
  });

  it.each([
    "x",
    "4x",
    "x4",
    "4xx4",
    "4x-1",
    "4x3.5",
    "4X3,",
    "4x3,,4x3",
    "4x3;4x3",
    "4x2147483648",
    "0x3",
    "1x2x3x4x5x6x7x8x9",
    `${"1,".repeat(64)}1`,
    `4x${"1".repeat(5000)}`,
  ])("refuse %j", (text) => {
    const error = refused({ max: text });
    expect(error.field).toBe("max");
    expect(error.expected).toContain("shapes");
  });

  it("must agree: min is at most max, dimension by dimension", () => {
    const right = [
      [4, 4],
      ["1x3x32", "4x3x640"],
      ["4x3x640", "4x3x640"],
      ["1x3", undefined],
    ];
    for (const [min, max] of right) expect(() => parse({ min, max })).not.toThrow();
    const shapes = "shapes that are at most max in every dimension";
    const wrong = [
      [5, 4, "at most max, which is 4 rows"],
      ["5", "4x3", "at most max, which is 4 rows"],
      ["1x3x641", "4x3x640", `${shapes}, "4x3x640"`],
      ["1x3", "4x3x640", `${shapes}, "4x3x640"`],
      ["1x3,1x3", "4x3", `${shapes}, "4x3"`],
      ["5x3", "4x3", "at most max, which is 4 rows"],
      ["1x3", 4, "a number of rows, or max as full shapes too"],
    ];
    for (const [min, max, expected] of wrong) {
      expect(refused({ min, max })).toMatchObject({ field: "min", expected });
    }
  });

  it("leave room in max_queue", () => {
    expect(parse({ max: 8, max_queue: 8 }).maxQueue).toBe(8);
    expect(refused({ max: 8, max_queue: 7 })).toMatchObject({
      field: "max_queue",
      value: "7",
      expected: "at least max, which is 8 rows",
    });
    // Whether the first dimension of full shapes means rows, only the model tells: it is checked there.
    expect(parse({ max: "8x3", max_queue: "7" }).maxQueue).toBe(7);
  });
});

describe("model", () => {
  it("takes a path, a file URL, or bytes without copying them", () => {
    expect(parseConfig({ model: "/tmp/ä b.onnx" }).model).toBe("/tmp/ä b.onnx");
    const url = pathToFileURL("/tmp/ä b.onnx");
    expect(parseConfig({ model: url }).model).toBe("/tmp/ä b.onnx");
    expect(parseConfig({ model: url.href }).model).toBe("/tmp/ä b.onnx");
    const bytes = new Uint8Array([8]);
    expect(parseConfig({ model: bytes }).model).toBe(bytes);
    expect(parseConfig({ model: Buffer.from([8]) }).model).toHaveLength(1);
  });

  it("is needed, but for Identity and Fault", () => {
    expect(caught(ConfigError, () => parseConfig({}))).toMatchObject({ field: "model", value: "undefined" });
    expect(caught(ConfigError, () => parseConfig({ backend: "OnnxTensor" })).field).toBe("model");
    expect(parseConfig({ backend: "SyncTensor[Identity]" }).model).toBeNull();
    expect(parseConfig({ backend: "Fault", model: "unused" }).model).toBeNull();
    expect(caught(ConfigError, () => parseConfig({ backend: "Identity", model: 1 })).field).toBe("model");
  });

  it.each([
    ["", '""'],
    ["a\0b", '"a\\u0000b"'],
    ["file:///a%00b", '"file:///a%00b"'],
    ["https://example.org/m.onnx", '"https://example.org/m.onnx"'],
    [new URL("https://example.org/m.onnx"), '"https://example.org/m.onnx"'],
    [null, "null"],
    [new Uint8Array(0), "Uint8Array of 0"],
    [structuredClone, "a function"],
    [new Float32Array(4), "Float32Array of 4"],
    [new ArrayBuffer(8), "an instance of ArrayBuffer"],
    [["m.onnx"], "an array of 1"],
  ])("refuses %j", (model, value) => {
    expect(refused({ model })).toMatchObject({ field: "model", value });
  });

  it("refuses bytes that were posted away", () => {
    const bytes = new Uint8Array(8);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    expect(refused({ model: bytes }).message).toContain("its buffer is detached");
  });
});

describe("other keys", () => {
  it.each([
    ["session", "both", '"shared" or "own"'],
    ["session", null, '"shared" or "own"'],
    ["onnxruntime", "", "a path, not empty and without NUL"],
    ["onnxruntime", 1, "a path, not empty and without NUL"],
    ["device_id", -1, "an integer from 0 to 63"],
    ["device_id", [0, 1], "at most as many devices as instance_num, which is 1"],
    ["device_id", [], "at least one device, and each once"],
    ["device_id", [1, "1"], "at least one device, and each once"],
    ["output", "disk", '"host" or "device"'],
    ["precision", "int8", '"fp32" or "tf32" or "fp16" or "bf16"'],
    ["model::cache", "", "a path, not empty and without NUL"],
    ["max_workspace_size", 0, "an integer from 1 to 1048576"],
    ["optimization_level", "6", "an integer from 0 to 5"],
    ["cuda_graph", "yes", "true or false"],
    ["pinned_bytes", 2 ** 32, "an integer from 0 to 4294967295"],
    ["pinned_bytes", -1, "an integer from 0 to 4294967295"],
    ["device_spin_us", 10_001, "an integer from 0 to 10000"],
    ["self_check", "off", "true or false"],
    ["compute_capability", "9.0", '"any" or "current"'],
    ["hardware_compatibility", "ampere", '"none" or "ampere_plus" or "same_compute_capability"'],
    ["tensorrt", true, "a path, not empty and without NUL"],
    ["log", "stderr", "a function (level, text, fields) => void"],
    ["workerUrl", "", "a path or URL, not empty and without NUL"],
    ["workerUrl", {}, "a path or URL, not empty and without NUL"],
  ])("%s refuses %j", (field, value, expected) => {
    expect(refused({ [field]: value })).toMatchObject({ field, expected });
  });

  it("take what they say", () => {
    const log = (): void => undefined;
    const url = new URL("file:///w.js");
    const parsed = parse({ session: "own", onnxruntime: "/lib/ort.so", log, workerUrl: url });
    expect(parsed).toMatchObject({ session: "own", onnxruntime: "/lib/ort.so", log, workerUrl: url });
    expect(parsed.workerUrl).not.toBe(url);
  });

  it("of TensorrtTensor become options of the C library, and only what was given does", () => {
    const given = {
      min: 2,
      max: "4x3x8x8",
      spin_us: 7.4,
      device_id: "1",
      output: "device",
      precision: "tf32",
      "model::cache": "m.trt",
      max_workspace_size: 512,
      optimization_level: 0,
      cuda_graph: "1",
      pinned_bytes: "4096",
      device_spin_us: 250,
      compute_capability: "current",
      hardware_compatibility: "ampere_plus",
    };
    expect(parse(given).tensorrt.deviceIds).toEqual([1]);
    expect(engineOptions(parse(given), "TensorrtTensor", 1)).toEqual([
      ["backend", "TensorrtTensor"],
      ["path", "m.onnx"],
      ["min", "2"],
      ["max", "4x3x8x8"],
      ["spin_us", "250"],
      ["device_id", "1"],
      ["output", "device"],
      ["precision", "tf32"],
      ["model::cache", "m.trt"],
      ["max_workspace_size", "512"],
      ["optimization_level", "0"],
      ["cuda_graph", "1"],
      ["pinned_bytes", "4096"],
      ["compute_capability", "current"],
      ["hardware_compatibility", "ampere_plus"],
    ]);
    expect(engineOptions(parse({ cuda_graph: false, spin_us: 100 }), "TensorrtTensor")).toEqual([
      ["backend", "TensorrtTensor"],
      ["path", "m.onnx"],
      ["spin_us", "100"],
      ["cuda_graph", "0"],
    ]);
  });
});

describe("precision", () => {
  it("is one, for all layers or for those that are named", () => {
    const half = { dtype: "float16", all: true, half: [], float32: [] };
    const given = (fields: object): object => parse(fields).precision;
    expect(given({ precision: "tf32" })).toEqual({ precision: "tf32", conversion: null, layers: false });
    expect(given({ precision: "fp16" })).toEqual({ precision: "fp16", conversion: half, layers: false });
    expect(given({ precision: "bf16", "precision::fp32": "a, b*" })).toEqual({
      precision: "bf16",
      conversion: { ...half, dtype: "bfloat16", float32: ["a", "b*"] },
      layers: true,
    });
    expect(given({ precision: "tf32", "precision::fp16": ["a,b"] })).toEqual({
      precision: "tf32",
      conversion: { ...half, all: false, half: ["a,b"] },
      layers: true,
    });
  });

  it("of named layers is in the graph, and TensorRT is not asked for it", () => {
    const asked = (fields: object): string | undefined =>
      new Map(engineOptions(parse(fields), "TensorrtTensor")).get("precision");
    expect(asked({ precision: "fp16" })).toBe("fp16");
    expect(asked({ precision: "fp16", "precision::fp32": "a" })).toBeUndefined();
    expect(asked({ precision: "tf32", "precision::fp16": "a" })).toBe("tf32");
  });

  it.each([
    ["precision::fp32", { "precision::fp32": "a" }],
    ["precision::fp32", { "precision::fp32": "a", precision: "tf32" }],
    ["precision::fp16", { "precision::fp16": "a", precision: "bf16" }],
    ["precision::bf16", { "precision::bf16": "a", precision: "fp16" }],
    ["precision::fp16", { "precision::fp16": "a", "precision::bf16": "b" }],
    ["precision::fp16", { "precision::fp16": "a,,b" }],
    ["precision::fp16", { "precision::fp16": [] }],
    ["precision::fp16", { "precision::fp16": [1] }],
    ["precision::fp16", { "precision::fp16": 16 }],
    ["precision::fp16", { "precision::fp16": "a", model: "m.plan" }],
  ])("refuses %s in %j", (field, fields) => {
    expect(refused(fields).field).toBe(field);
  });
});

describe("the keys of images", () => {
  const perChannel = 'numbers, one for each channel: "58.4,57.1,57.4"';

  it("take TorchPipe's texts, lists, and one number", () => {
    const mean = [123.675, 116.28, 103.53];
    for (const value of ["123.675,116.28,103.53", " 123.675, 1.1628e2 ,103.53", mean, mean.map(String)])
      expect(parse({ mean: value }).image).toEqual({
        input: null,
        mean,
        std: null,
        layout: null,
        dtype: null,
      });
    expect(parse({ mean: 0.5, std: "2", input_layout: "NHWC" }).image).toMatchObject({
      mean: [0.5],
      std: [2],
    });
    const rest = { input_dtype: "uint8", image_input: "x" };
    expect(parse({ std: Float32Array.of(1, 2), ...rest }).image).toMatchObject({
      input: "x",
      mean: null,
      std: [1, 2],
      dtype: "uint8",
    });
  });

  it.each([
    ["mean", "1,,2", perChannel],
    ["mean", "1;2", perChannel],
    ["mean", [], perChannel],
    ["mean", [1, Infinity], perChannel],
    ["mean", [1, null], perChannel],
    ["mean", "1e39", perChannel],
    ["mean", new Uint8Array(3), perChannel],
    ["mean", Array.from({ length: 5000 }, () => 1), perChannel],
    ["std", "1,0,1", perChannel.replace("numbers", "numbers above 0")],
    ["std", [1, -1], perChannel.replace("numbers", "numbers above 0")],
    ["std", "1e-60", perChannel.replace("numbers", "numbers above 0")],
    ["input_layout", "nhwc", '"NCHW" or "NHWC"'],
    ["input_dtype", "int8", '"uint8" or "float32"'],
    ["image_input", "", "an input's name, not empty and without NUL"],
    ["image_input", "x", "one of mean, std, input_layout and input_dtype beside it"],
  ])("%s refuses %j", (field, value, expected) => {
    expect(refused({ [field]: value })).toMatchObject({ field, expected });
  });

  it("need an ONNX model, and mean and std the same number of values", () => {
    expect(refused({ mean: "1,2,3", std: "1,2" })).toMatchObject({ field: "std" });
    for (const fields of [{ model: "m.engine" }, { backend: "Identity" }])
      expect(refused({ ...fields, std: 2 })).toMatchObject({
        field: "std",
        expected: "an ONNX model, whose graph this key changes",
      });
  });
});

describe("output", () => {
  it.each([
    ["OnnxTensor", '"host", because OnnxTensor gives host memory'],
    ["(shape=4)Identity", '"host", because Identity gives host memory'],
    [
      "Process[TensorrtTensor]",
      '"host", because Process[X] runs in other processes, whose device memory is theirs',
    ],
  ])("cannot be device memory of %s", (backend, expected) => {
    expect(refused({ backend, output: "device" })).toMatchObject({ field: "output", expected });
    expect(parse({ backend, output: "host" }).output).toBe("host");
  });

  it("leaves no backend but TensorRT where none is named", () => {
    const names = (fields: object): string[] =>
      loadMessage(parse(fields), "", null).candidates.map(({ backend }) => backend);
    expect(names({})).toEqual(["TensorrtTensor", "OnnxTensor"]);
    expect(names({ output: "device" })).toEqual(["TensorrtTensor"]);
  });
});

describe("device_id", () => {
  it("loads the model once on each device", () => {
    const config = { backend: "TensorrtTensor", device_id: ["1", 0], instance_num: 3 };
    const [{ options, more }] = loadMessage(parse(config), "", null).candidates;
    const devices = [options, ...more].map((one) => one.find(([key]) => key === "device_id"));
    expect(devices).toEqual([
      ["device_id", "1"],
      ["device_id", "0"],
    ]);
  });
});

describe("unknown keys", () => {
  it.each([
    ["batching_timout", "batching_timeout"],
    ["Max", "max"],
    ["instanceNum", "instance_num"],
    ["INSTANCE_NUM", "instance_num"],
    ["max-queue", "max_queue"],
    ["intra_op_thread", "intra_op_threads"],
    ["models", "model"],
    ["worker_url", "workerUrl"],
  ])("%s is answered with %s", (key, near) => {
    const error = refused({ [key]: 5 });
    expect(error.field).toBe(key);
    expect(error.value).toBe("5");
    expect(error.expected).toBe(`a known key, one of ${KEYS.join(", ")}`);
    expect(error.message).toContain(`(did you mean "${near}"?)`);
  });

  it.each(["preprocessor", "postprocessor", "next", "toString", "constructor", "__proto__", "0", ""])(
    "%j is refused without a guess that would mislead",
    (key) => {
      const error = refused(JSON.parse(`{${JSON.stringify(key)}: {"polluted": true}}`) as object);
      expect(error.field).toBe(key);
      expect(error.message).not.toContain("did you mean");
    },
  );

  it("are cut when they are long, and cost no time", () => {
    const startMs = performance.now();
    const error = refused({ ["k".repeat(5_000_000)]: 1 });
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(error.message.length).toBeLessThan(600);
  });
});

describe("the object itself", () => {
  it.each([undefined, null, 1, "m.onnx", true, () => 1, [], [{ model: "m" }], Symbol("s")])(
    "refuses %j",
    (config) => {
      expect(caught(ConfigError, () => parseConfig(config))).toMatchObject({
        field: "config",
        expected: 'an object such as { model: "model.onnx" }',
      });
    },
  );

  it("is read once, each property too, and not kept", () => {
    const reads: string[] = [];
    const config = new Proxy(
      { model: "m.onnx", max: "4", instance_num: 2, log: undefined } as Record<string, unknown>,
      {
        get(target, key) {
          reads.push(String(key));
          return target[key as string];
        },
      },
    );
    const parsed = parseConfig(config);
    expect(reads.toSorted()).toEqual(["instance_num", "log", "max", "model"]);
    config.max = 8;
    expect(parsed.max?.rows).toBe(4);
  });

  it("may have no prototype, symbols and hidden properties of its own", () => {
    const config = Object.assign(Object.create(null), { model: "m.onnx", [Symbol("mine")]: 1 }) as object;
    Object.defineProperty(config, "hidden", { value: 1 });
    expect(parseConfig(config).model).toBe("m.onnx");
  });

  it("does not pass over keys that are only inherited or hidden", () => {
    const inherited = Object.assign(Object.create({ instance_num: 2 }) as object, { model: "m.onnx" });
    expect(caught(ConfigError, () => parseConfig(inherited))).toMatchObject({
      field: "instance_num",
      expected: "an own, enumerable property of the config",
    });
    const hidden = Object.defineProperty({ model: "m.onnx" }, "max", { value: 4 });
    expect(caught(ConfigError, () => parseConfig(hidden)).field).toBe("max");
    class Config {
      model = "m.onnx";
      get max(): number {
        return 4;
      }
    }
    expect(caught(ConfigError, () => parseConfig(new Config())).field).toBe("max");
  });

  it("is not led astray by what others put on Object.prototype", () => {
    const everywhere = Object.prototype as { max?: number };
    everywhere.max = 4;
    try {
      expect(parseConfig({ model: "m.onnx" }).max).toBeNull();
    } finally {
      delete everywhere.max;
    }
  });

  it("may throw, and that is the cause", () => {
    const cause = new TypeError("no");
    const fail = (): never => {
      throw cause;
    };
    const getter = {
      model: "m.onnx",
      get max() {
        return fail();
      },
    };
    const error = caught(ConfigError, () => parseConfig(getter));
    expect(error).toMatchObject({ field: "max", expected: "a value that can be read" });
    expect(error.cause).toBe(cause);
    for (const trap of ["ownKeys", "has", "get", "getOwnPropertyDescriptor"]) {
      const hostile = new Proxy({ model: "m.onnx" }, { [trap]: fail });
      expect(caught(ConfigError, () => parseConfig(hostile)).cause).toBe(cause);
    }
    for (const trap of ["ownKeys", "has", "get", "getOwnPropertyDescriptor", "getPrototypeOf"]) {
      for (const key of KEYS) expect(refused({ [key]: new Proxy({}, { [trap]: fail }) }).field).toBe(key);
    }
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    expect(caught(ConfigError, () => parseConfig(revoked.proxy)).field).toBe("config");
    expect(refused({ max: revoked.proxy }).value).toBe('"an object that cannot be read"');
  });

  it("never leads to anything but a result or a ConfigError, nor to a changed Object.prototype", () => {
    const before = Object.getOwnPropertyNames(Object.prototype);
    const value = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withTypedArray: true,
      withSparseArray: true,
      withBoxedValues: true,
    });
    const key = fc.oneof(fc.constantFrom(...KEYS, "__proto__", "constructor", "prototype"), fc.string());
    const plausible = fc.oneof(
      fc.nat(5000),
      fc.nat(9).map(String),
      fc.stringMatching(/^[0-9x,.]{0,12}$/),
      value,
    );
    const config = fc.oneof(value, fc.dictionary(key, plausible), fc.dictionary(key, fc.jsonValue()));
    fc.assert(
      fc.property(config, (input) => {
        expect(["nothing", "ConfigError"]).toContain(thrownClass(() => parseConfig(input)));
      }),
      { numRuns: 2000 },
    );
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before);
  });
});

describe("processOptions", () => {
  const inner = [
    ["backend", "OnnxTensor"],
    ["path", "m.onnx"],
    ["onnxruntime", "lib/libonnxruntime.so"],
    ["onnxruntime", "libonnxruntime.so.1"],
  ] as const;

  it("wraps another backend's, with paths that hold wherever the program goes", () => {
    expect(processOptions({ host: "h", run_timeout: "50" }, inner)).toEqual([
      ["backend", "Process"],
      ["inner", "OnnxTensor"],
      ["host", resolve("h")],
      ["run_timeout", "50"],
      ["path", resolve("m.onnx")],
      ["onnxruntime", resolve("lib/libonnxruntime.so")],
      ["onnxruntime", "libonnxruntime.so.1"],
    ]);
  });

  it("takes run_timeout from the key of that name, unless it is an argument", () => {
    const bound = (args: object, runTimeoutMs: number): string | undefined =>
      processOptions(args, inner, runTimeoutMs).find(([key]) => key === "run_timeout")?.[1];
    expect(bound({}, 0)).toBeUndefined();
    expect(bound({}, 70)).toBe("70");
    expect(bound({ run_timeout: "0" }, 0)).toBe("0");
    const both = { backend: "(run_timeout=0)Process[Identity]", run_timeout: 70 };
    const error = caught(ConfigError, () => parseConfig(both));
    expect(error.field).toBe("run_timeout");
    expect(error.message).toContain("Process already has run_timeout=0");
  });

  it("takes the host program from the environment, unless it is given", () => {
    vi.stubEnv("TRTPIPE_HOST", "/from/environment");
    const host = (args: object): string | undefined =>
      processOptions(args, inner).find(([key]) => key === "host")?.[1];
    expect(host({})).toBe("/from/environment");
    expect(host({ host: "/given" })).toBe("/given");
    vi.stubEnv("TRTPIPE_HOST", "");
    expect(host({})).toBeUndefined();
    vi.unstubAllEnvs();
  });

  it.each(["-1", "1.5", "86400001", "", "1s"])("refuses a run_timeout of %j", (run_timeout) => {
    const error = caught(ConfigError, () => processOptions({ run_timeout }, inner));
    expect(error.field).toBe("backend argument run_timeout");
    expect(error.expected).toBe("an integer from 0 to 86400000");
  });
});

describe("engineOptions", () => {
  it("gives ONNX Runtime what it needs", () => {
    const config = parse({ backend: "OnnxTensor", intra_op_threads: 3, session: "own" });
    expect(engineOptions(config, "OnnxTensor")).toEqual([
      ["backend", "OnnxTensor"],
      ["path", "m.onnx"],
      ["threads", "3"],
      ["session", "own"],
    ]);
    expect(engineOptions(parse({ model: new Uint8Array(1), spin_us: 7 }), "TensorrtTensor")).toEqual([
      ["backend", "TensorrtTensor"],
      ["spin_us", "7"],
    ]);
  });

  it("waits busily for longer on a device, where cores are left over", () => {
    const spare = availableParallelism() - 2;
    expect(spinUsOf(parse({ instance_num: 64 }), "TensorrtTensor")).toBe(64 <= spare ? 1000 : 100);
    expect(spinUsOf(parse({ instance_num: 1 }), "TensorrtTensor")).toBe(1 <= spare ? 1000 : 100);
    for (const backend of ["OnnxTensor", "Process[TensorrtTensor]", "Identity"]) {
      expect(spinUsOf(parse({}), backend)).toBe(100);
    }
    expect(spinUsOf(parse({ spin_us: "0" }), "TensorrtTensor")).toBe(0);
  });

  it.each([
    ["Identity", undefined, []],
    ["Identity", "4x3x224x224", [["shape", "3x224x224"]]],
    ["Identity", "4", []],
    ["Identity", "4x3,4x3", []],
    ["(shape=)Identity", "4x3", [["shape", ""]]],
    [
      "(dtype=float16,shape=3x-1,output_dtype=11,output_shape=0)Identity",
      undefined,
      [
        ["dtype", "10"],
        ["shape", "3x-1"],
        ["output_dtype", "11"],
        ["output_shape", "0"],
      ],
    ],
    ["(fail_create=2)Fault", undefined, [["fail_create", "2"]]],
  ])("reads the arguments of %s with max %j", (backend, max, options) => {
    const config = parseConfig({ backend, max });
    const name = config.backend!.name;
    expect(engineOptions(config, name)).toEqual([["backend", name], ...options]);
  });

  it.each([
    ["(dtype=fp32)Identity", "backend argument dtype", "a dtype, one of float32, float64,"],
    ["(dtype=8)Identity", "backend argument dtype", "or its ONNX number"],
    ["(output_dtype=)Identity", "backend argument output_dtype", "a dtype"],
    ["(shape=3x)Identity", "backend argument shape", "an item shape of at most 7 dimensions"],
    ["(shape=1x1x1x1x1x1x1x1)Identity", "backend argument shape", "an item shape of at most 7 dimensions"],
    ["(shape=1-1)Identity", "backend argument shape", "an item shape of at most 7 dimensions"],
    ["(shape=-11)Identity", "backend argument shape", "an item shape of at most 7 dimensions"],
    ["(output_shape=2147483648)Identity", "backend argument output_shape", "an item shape"],
    ["(fail_create=0)Fault", "backend argument fail_create", "an integer of at least 1"],
  ])("refuses %s", (backend, field, expected) => {
    const config = parseConfig({ backend });
    const error = caught(ConfigError, () => engineOptions(config, config.backend!.name));
    expect(error.field).toBe(field);
    expect(error.expected).toContain(expected);
  });
});
