/** From what a person wrote to what the code uses: every value checked, in one form, its unit in its name. */

import { availableParallelism } from "node:os";
import { resolveBackend } from "../backends/resolve.ts";
import type { ResolvedBackend } from "../backends/resolve.ts";
import type { ConfigError } from "../errors.ts";
import { SLOT_LIMIT } from "../memory/slot.ts";
import { MAX_CHANNELS } from "../native/abi.ts";
import { nearest } from "../nearest.ts";
import type { ImageInput } from "../onnx/image-input.ts";
import { readImage } from "./config-image.ts";
import { readLoading } from "./config-loading.ts";
import { readPrecision } from "./config-precision.ts";
import type { PrecisionConfig } from "./config-precision.ts";
import { checkDevices, readOutput, readTensorrt } from "./config-tensorrt.ts";
import type { TensorrtConfig } from "./config-tensorrt.ts";
import { isOnnx, isUrl, readModel } from "./config-model.ts";
import {
  checkMinMax,
  guarded,
  readInteger,
  readLimit,
  readNumber,
  readText,
  refuse,
} from "./config-values.ts";
import type { Limit } from "./config-values.ts";
import { logToStderr } from "./log.ts";
import type { Log, PipeConfig } from "./types.ts";
import { showRows } from "./shape.ts";

/** A checked configuration. What depends on the model and was not given is null. */
export interface ParsedConfig {
  backend: ResolvedBackend | null;
  /** A path or the file's bytes (the caller's own memory, not copied); null where the backend needs none. */
  model: string | Uint8Array | null;
  instanceNum: number;
  batchingTimeoutMs: number;
  /** 0: none. With `Process[X]` the child processes keep to it. */
  runTimeoutMs: number;
  max: Limit | null;
  min: Limit | null;
  maxQueue: number | null;
  maxCallers: number;
  intraOpThreads: number;
  session: "shared" | "own";
  warmUp: number;
  selfCheck: boolean;
  /** null: see spinUsOf. */
  spinUs: number | null;
  onnxruntime: string | null;
  tensorrt: TensorrtConfig;
  precision: PrecisionConfig;
  /** What is put in front of the model; null: nothing. */
  image: ImageInput | null;
  /** Where results are. */
  output: "host" | "device";
  log: Log;
  workerUrl: string | URL | null;
}

const INSTANCES_MAX = 64;
const TIMER_MS_MAX = 2 ** 31 - 1;
export const RUN_TIMEOUT_MS_MAX = 86_400_000;

/** All keys, in the order of PipeConfig; the compiler compares. */
const known: Readonly<Record<keyof PipeConfig, true>> = {
  model: true,
  backend: true,
  instance_num: true,
  batching_timeout: true,
  run_timeout: true,
  max: true,
  min: true,
  max_queue: true,
  max_callers: true,
  intra_op_threads: true,
  session: true,
  warm_up: true,
  self_check: true,
  spin_us: true,
  onnxruntime: true,
  mean: true,
  std: true,
  input_layout: true,
  input_dtype: true,
  image_input: true,
  precision: true,
  "precision::fp32": true,
  "precision::fp16": true,
  "precision::bf16": true,
  device_id: true,
  "model::cache": true,
  max_workspace_size: true,
  optimization_level: true,
  cuda_graph: true,
  pinned_bytes: true,
  device_spin_us: true,
  compute_capability: true,
  hardware_compatibility: true,
  tensorrt: true,
  output: true,
  log: true,
  workerUrl: true,
};
const keys = Object.keys(known);

export type Snapshot = ReadonlyMap<keyof PipeConfig, unknown>;

/** Reads the value of a key, or gives what stands for one that was not given. */
export type ReadValue = <T>(
  key: keyof PipeConfig,
  reader: (field: string, value: unknown) => T,
  absent: T,
) => T;

export function reading(given: Snapshot): ReadValue {
  return (key, reader, absent) => (given.has(key) ? reader(key, given.get(key)) : absent);
}

/** Checks a configuration. Reads each property once and keeps nothing of the object. Throws ConfigError. */
export function parseConfig(config: unknown): ParsedConfig {
  const given = snapshot(config);
  const read = reading(given);
  const integer = (key: keyof PipeConfig, low: number, high: number, absent: number): number =>
    read(key, (field, value) => readInteger(field, value, low, high), absent);
  const limit = (field: string, value: unknown): Limit => readLimit(field, value, SLOT_LIMIT);

  const backend = read("backend", readBackend, null);
  const model = readModel(given, backend);
  const instanceNum = integer("instance_num", 1, INSTANCES_MAX, 1);
  if (!isOnnx(model)) refuseKeys(given, [...IMAGE_KEYS, ...LAYER_KEYS]);
  const max = read<Limit | null>("max", limit, null);
  const min = read<Limit | null>("min", limit, null);
  if (min !== null && max !== null) checkMinMax(min, max);
  const tensorrt = readTensorrt(read);
  checkDevices(tensorrt, instanceNum);
  const share = Math.max(1, Math.floor(availableParallelism() / instanceNum));
  return {
    backend,
    model,
    instanceNum,
    batchingTimeoutMs: read("batching_timeout", (f, v) => readNumber(f, v, 0, TIMER_MS_MAX, "ms"), 0),
    runTimeoutMs: read("run_timeout", (field, value) => readRunTimeout(field, value, backend), 0),
    max,
    min,
    maxQueue: read("max_queue", (field, value) => readQueue(field, value, max), null),
    maxCallers: integer("max_callers", 1, MAX_CHANNELS, 16),
    ...readLoading(read, {
      intraOpThreads: share,
      session: "shared",
      warmUp: 1,
      selfCheck: true,
      onnxruntime: null,
    }),
    spinUs: read("spin_us", (field, value) => readNumber(field, value, 0, 10_000, "microseconds"), null),
    tensorrt,
    output: read("output", (field, value) => readOutput(field, value, backend), "host"),
    precision: readPrecision(read),
    image: readImage(read),
    log: read("log", readLog, logToStderr),
    workerUrl: read("workerUrl", readWorkerUrl, null),
  };
}

/** The values that were given, each property read once. */
export function snapshot(config: unknown): Snapshot {
  const expected = 'an object such as { model: "model.onnx" }';
  if (typeof config !== "object" || config === null || guarded("config", () => Array.isArray(config))) {
    throw refuse("config", config, expected);
  }
  const values = new Map<keyof PipeConfig, unknown>();
  for (const key of ownKeys(config)) {
    const value = guarded(shorten(key), () => (config as Record<string, unknown>)[key]);
    if (!isKnown(key)) throw unknownKey(key, value);
    if (value !== undefined) values.set(key, value);
  }
  return values;
}

/**
 * Own enumerable names. A known name that is only inherited would be passed over in silence, so it is
 * refused.
 */
function ownKeys(config: object): string[] {
  const own = guarded("config", () => Object.keys(config));
  const inherited = guarded("config", () => keys.find((key) => !own.includes(key) && key in config));
  if (inherited !== undefined && !(inherited in Object.prototype)) {
    const hint = "it is inherited or not enumerable";
    throw refuse(inherited, undefined, "an own, enumerable property of the config", { hint });
  }
  return own;
}

function isKnown(key: string): key is keyof PipeConfig {
  return Object.hasOwn(known, key);
}

function unknownKey(key: string, value: unknown): ConfigError {
  const near = nearest(key, keys);
  const hint = near === undefined ? {} : { hint: `did you mean "${near}"?` };
  return refuse(shorten(key), value, `a known key, one of ${keys.join(", ")}`, hint);
}

function shorten(key: string): string {
  const visible = key.replaceAll(/[\x00-\x1f\x7f]/g, "?");
  return visible.length > 64 ? `${visible.slice(0, 61)}...` : visible;
}

export function readBackend(field: string, value: unknown): ResolvedBackend {
  if (typeof value === "string") return resolveBackend(value, field);
  throw refuse(field, value, 'a bracket expression such as "SyncTensor[OnnxTensor]"');
}

const IMAGE_KEYS = ["mean", "std", "input_layout", "input_dtype", "image_input"] as const;
const LAYER_KEYS = ["precision::fp32", "precision::fp16", "precision::bf16"] as const;

/** For keys that change an ONNX model's graph, where there is none. */
function refuseKeys(given: Snapshot, of: readonly (keyof PipeConfig)[]): void {
  const key = of.find((one) => given.has(one));
  if (key === undefined) return;
  throw refuse(key, given.get(key), "an ONNX model, whose graph this key changes");
}

function readRunTimeout(field: string, value: unknown, backend: ResolvedBackend | null): number {
  const timeoutMs = readInteger(field, value, 0, RUN_TIMEOUT_MS_MAX);
  const given = backend?.process?.run_timeout;
  if (given === undefined) return timeoutMs;
  const hint = `Process already has run_timeout=${given}`;
  throw refuse(field, value, "the key or the argument of Process, not both", { hint });
}

function readQueue(field: string, value: unknown, max: Limit | null): number {
  const queue = readInteger(field, value, 1, SLOT_LIMIT);
  // Of full shapes only the model tells whether the first dimension means rows.
  if (max === null || max.rows === null || max.shapes !== null || queue >= max.rows) return queue;
  throw refuse(field, value, `at least max, which is ${showRows(max.rows)}`);
}

function readLog(field: string, value: unknown): Log {
  if (typeof value === "function") return value as Log;
  throw refuse(field, value, "a function (level, text, fields) => void");
}

function readWorkerUrl(field: string, value: unknown): string | URL {
  return isUrl(field, value) ? new URL(value) : readText(field, value, "a path or URL");
}
