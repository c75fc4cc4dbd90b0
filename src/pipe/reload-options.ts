/** What `reload()` takes: the keys that do not decide how memory and threads are laid out. */

import { ConfigError } from "../errors.ts";
import { readBackend, readLoading, reading, snapshot } from "./config.ts";
import { readModel } from "./config-model.ts";
import type { ParsedConfig, Snapshot } from "./config.ts";
import { checkDevices, readOutput, readTensorrt } from "./config-tensorrt.ts";
import type { TensorrtConfig } from "./config-tensorrt.ts";
import { refuse } from "./config-values.ts";
import { readPrecision } from "./config-precision.ts";
import type { PipeConfig, PrecisionOptions, TensorrtOptions } from "./types.ts";

type PrecisionKey = keyof PrecisionOptions;

/** Keys of the configuration that say what a model is loaded from, and how. */
export type ReloadKey =
  | "model"
  | "backend"
  | "intra_op_threads"
  | "session"
  | "warm_up"
  | "self_check"
  | "onnxruntime"
  | PrecisionKey
  | Exclude<keyof TensorrtOptions, "output">;

/** What is not given stays as it is, the model too: its file is then read again. */
export interface ReloadOptions extends Pick<PipeConfig, ReloadKey> {
  /**
   * Gives the reload up: the promise rejects at once with the signal's reason. Without effect once the new
   * model has been loaded and warmed up for all instances, which then change over.
   */
  signal?: AbortSignal;
}

/** They go together: what is not given of them is as if none were, once one is. */
const precisionKeys: Readonly<Record<PrecisionKey, true>> = {
  precision: true,
  "precision::fp32": true,
  "precision::fp16": true,
  "precision::bf16": true,
};

/** All keys; the compiler compares. */
const known: Readonly<Record<ReloadKey, true>> = {
  model: true,
  backend: true,
  intra_op_threads: true,
  session: true,
  warm_up: true,
  self_check: true,
  onnxruntime: true,
  device_id: true,
  ...precisionKeys,
  "model::cache": true,
  max_workspace_size: true,
  optimization_level: true,
  cuda_graph: true,
  compute_capability: true,
  hardware_compatibility: true,
  pinned_bytes: true,
  device_spin_us: true,
  tensorrt: true,
};

/** The options, each property read once. */
export interface GivenReload {
  changes: Snapshot;
  signal: AbortSignal | null;
}

/** Throws ConfigError for what is not a reload's to change, and the reason of an aborted signal. */
export function readReload(options: unknown): GivenReload {
  if (typeof options !== "object" || options === null) {
    throw new ConfigError("options", options, 'an object such as { model: "model.onnx" }');
  }
  const signal = readSignal(options);
  const { signal: _, ...others } = options as ReloadOptions;
  const changes = snapshot(others);
  for (const [key, value] of changes) {
    if (Object.hasOwn(known, key)) continue;
    const hint = `${key} is settled when the pipe is made`;
    throw refuse(key, value, `a key that reload() takes, one of ${Object.keys(known).join(", ")}`, { hint });
  }
  signal?.throwIfAborted();
  return { changes, signal };
}

function readSignal(options: object): AbortSignal | null {
  const { signal } = options as { signal?: unknown };
  if (signal === undefined) return null;
  if (signal instanceof AbortSignal) return signal;
  throw new ConfigError("signal", signal, "an AbortSignal");
}

/** The configuration that a pipe has after a reload. Throws ConfigError. */
export function changedConfig(current: ParsedConfig, changes: Snapshot): ParsedConfig {
  const read = reading(changes);
  const backend = read("backend", readBackend, current.backend);
  const given = new Map(changes);
  if (!given.has("model") && current.model !== null) given.set("model", current.model);
  const tensorrt = changedTensorrt(current.tensorrt, readTensorrt(read));
  checkDevices(tensorrt, current.instanceNum);
  return {
    ...current,
    ...readLoading(read, current),
    backend,
    model: readModel(given, backend),
    precision: Object.keys(precisionKeys).some((key) => changes.has(key as PrecisionKey))
      ? readPrecision(read)
      : current.precision,
    tensorrt,
    output: readOutput("output", current.output, backend),
  };
}

function changedTensorrt(current: TensorrtConfig, changes: TensorrtConfig): TensorrtConfig {
  const given = Object.entries(changes).filter(([, value]) => value !== null);
  return { ...current, ...Object.fromEntries(given) };
}
