import { describe, expect, it } from "vitest";
import * as errors from "../src/errors.ts";
import type { PlainError } from "../src/errors.ts";

const {
  ConfigError,
  DeviceLostError,
  ExecutionError,
  InputError,
  InstanceLostError,
  InvariantError,
  ModelLoadError,
  PipeClosedError,
  QueueFullError,
  TimeoutError,
  TrtPipeError,
  fromPlainError,
  show,
  toPlainError,
} = errors;

const cause = new Error("the engine's own text");

/** One of each class, with its code, its text and its own fields. */
const samples: [Error, string, string, object][] = [
  [
    new ConfigError("max", "0x4", "an integer", { hint: "digits only" }),
    "TP_CONFIG",
    'Cannot use max: expected an integer, got "0x4" (digits only)',
    { field: "max", value: '"0x4"', expected: "an integer" },
  ],
  [
    new ModelLoadError("m.onnx", "parse", "Cannot load m.onnx", { cause }),
    "TP_MODEL",
    "Cannot load m.onnx",
    { path: "m.onnx", stage: "parse" },
  ],
  [
    new InputError("x", "float32", "float64"),
    "TP_INPUT",
    'Cannot accept input "x": expected float32, got float64',
    { input: "x", expected: "float32", got: "float64" },
  ],
  [
    new QueueFullError(1, 0, 8),
    "TP_QUEUE_FULL",
    "Cannot queue 1 row: 0 of max_queue 8 are free for this caller",
    { rows: 1, free: 0, maxQueue: 8 },
  ],
  [
    new TimeoutError(10, 12.345),
    "TP_TIMEOUT",
    "Cannot finish within the timeout of 10 ms: 12.3 ms passed",
    { timeoutMs: 10, waitedMs: 12.345 },
  ],
  [new ExecutionError("Cannot run the model: no", { cause }), "TP_EXEC", "Cannot run the model: no", {}],
  [new InstanceLostError("gone", true), "TP_INSTANCE", "gone", { maybeExecuted: true }],
  [new DeviceLostError("gone"), "TP_DEVICE", "gone", { maybeExecuted: true }],
  [new PipeClosedError(), "TP_CLOSED", "Cannot use a closed pipe", {}],
  [new InvariantError("a slot is lost"), "TP_BUG", "Internal invariant broken: a slot is lost", {}],
];

describe.each(samples)("%s", (error, code, message, fields) => {
  it("has its name, code, text and fields", () => {
    expect(error).toMatchObject({ ...fields, code, message });
    expect(error.name).toBe(error.constructor.name);
    expect(error).toBeInstanceOf(Error);
    expect(error).toBeInstanceOf(TrtPipeError);
    expect(message).not.toMatch(/\.$/);
  });

  it("is an instance of its own class alone", () => {
    const classes = samples.map(([sample]) => sample.constructor as typeof TrtPipeError);
    expect(classes.filter((Class) => error instanceof Class)).toEqual([error.constructor]);
  });

  it("comes out of another thread as it went in", () => {
    const plain: PlainError = structuredClone(toPlainError(error));
    const back = fromPlainError(plain);
    expect(Object.getPrototypeOf(back)).toBe(Object.getPrototypeOf(error));
    expect(back).toMatchObject({ ...fields, code, message, name: error.name });
    expect(String(back)).toBe(String(error));
    expect((back.cause as Error | undefined)?.message).toBe((error.cause as Error | undefined)?.message);
  });
});

describe("TrtPipeError", () => {
  it("recognizes the errors of another copy of the package, and nothing else", () => {
    const twin = Object.assign(new Error("from elsewhere"), {
      code: "TP_CONFIG",
      [Symbol.for("trtpipe.error")]: true,
    });
    expect(twin).toBeInstanceOf(ConfigError);
    expect(twin).toBeInstanceOf(TrtPipeError);
    expect(twin).not.toBeInstanceOf(InputError);
    const imitation = Object.assign(new Error("no"), { code: "TP_CONFIG" });
    for (const other of [imitation, null, undefined, "TP_CONFIG", {}]) {
      expect(other).not.toBeInstanceOf(ConfigError);
      expect(other).not.toBeInstanceOf(TrtPipeError);
    }
  });
});

describe("toPlainError", () => {
  it("keeps foreign errors, and whatever else was thrown", () => {
    const foreign = Object.assign(new TypeError("bad", { cause: "text" }), {
      errno: 2,
      buffer: new Uint8Array(1),
    });
    const back = fromPlainError(structuredClone(toPlainError(foreign)));
    expect(back).toMatchObject({ name: "TypeError", message: "bad" });
    expect((back.cause as Error).message).toBe("text");
    expect(back).not.toBeInstanceOf(TrtPipeError);
    expect(fromPlainError(toPlainError("thrown text")).message).toBe("thrown text");
    expect(fromPlainError(toPlainError(undefined)).message).toBe("undefined");
  });
});

describe("show", () => {
  it.each<[unknown, string]>([
    ["a", '"a"'],
    ["a\n\0", '"a\\n\\u0000"'],
    ["x".repeat(100), `"${"x".repeat(77)}..."`],
    [1.5, "1.5"],
    [NaN, "NaN"],
    [2n, "2n"],
    [null, "null"],
    [undefined, "undefined"],
    [Symbol("s"), "Symbol(s)"],
    [() => 1, "a function"],
    [[1, 2], "an array of 2"],
    [new Float32Array(3), "Float32Array of 3"],
    [new DataView(new ArrayBuffer(3)), "DataView of 3"],
    [{}, "an object"],
    [Object.create(null), "an object"],
    [new Date(0), "an instance of Date"],
  ])("%o", (value, text) => {
    expect(show(value)).toBe(text);
  });
});
