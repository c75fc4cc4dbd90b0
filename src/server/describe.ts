/** What a server tells about itself and its models: plain data that HTTP and gRPC share. */

import type { PipeStats, TensorSpec } from "../index.ts";
import { datatypeOf } from "./datatypes.ts";
import type { ServedModel } from "./served-model.ts";

export const EXTENSIONS: readonly string[] = [
  "binary_tensor_data",
  "model_configuration",
  "model_repository",
  "parameters",
  "statistics",
];

export interface TensorMetadata {
  name: string;
  datatype: string;
  shape: number[];
}

export interface ModelMetadata {
  name: string;
  versions: string[];
  platform: string;
  inputs: TensorMetadata[];
  outputs: TensorMetadata[];
}

interface TensorConfig {
  name: string;
  data_type: string;
  dims: number[];
}

export interface ModelConfig {
  name: string;
  platform: string;
  backend: string;
  version_policy: object;
  max_batch_size: number;
  input: TensorConfig[];
  output: TensorConfig[];
  instance_group: object[];
  dynamic_batching: object;
}

export function metadataOf(
  { name, version, description }: ServedModel,
  versions: readonly string[] = [version],
): ModelMetadata {
  return {
    name,
    versions: [...versions],
    platform: `trtpipe_${description.backend}`,
    inputs: description.inputs.map(tensorMetadata),
    outputs: description.outputs.map(tensorMetadata),
  };
}

function tensorMetadata({ name, dtype, shape }: TensorSpec): TensorMetadata {
  // A shape that nobody knows beforehand is told as one open dimension.
  return { name, datatype: datatypeOf(dtype), shape: [...(shape ?? [-1])] };
}

/** Triton's model configuration, as far as trtpipe has what it names. */
export function configOf({ name, description }: ServedModel): ModelConfig {
  const { inputs, outputs, batch, max, batchingTimeoutMs, instanceNum, maxQueue } = description;
  const batched = batch !== "none";
  const tensor = ({ name: tensorName, dtype, shape }: TensorSpec) => ({
    name: tensorName,
    data_type: `TYPE_${datatypeOf(dtype)}`,
    dims: [...(shape ?? [-1])].slice(batched && shape !== null ? 1 : 0),
  });
  return {
    name,
    platform: `trtpipe_${description.backend}`,
    backend: "trtpipe",
    version_policy: { latest: { num_versions: 1 } },
    max_batch_size: batched ? max : 0,
    input: inputs.map(tensor),
    output: outputs.map(tensor),
    instance_group: [{ name: `${name}_0`, kind: "KIND_AUTO", count: instanceNum }],
    dynamic_batching: {
      preferred_batch_size: [max],
      max_queue_delay_microseconds: Math.round(batchingTimeoutMs * 1000),
      default_queue_policy: { max_queue_size: maxQueue },
    },
  };
}

const NS_PER_MS = 1_000_000;

export interface Duration {
  count: number;
  ns: number;
}

type Durations<K extends string> = Record<K, Duration>;

export interface ModelStatistics {
  name: string;
  version: string;
  /** ms since 1970. */
  last_inference: number;
  inference_count: number;
  execution_count: number;
  inference_stats: Durations<
    | "success"
    | "fail"
    | "queue"
    | "compute_input"
    | "compute_infer"
    | "compute_output"
    | "cache_hit"
    | "cache_miss"
  >;
  batch_stats: ({ batch_size: number } & Durations<"compute_input" | "compute_infer" | "compute_output">)[];
}

const duration = (count: number, ms: number): Duration => ({ count, ns: Math.round(ms * NS_PER_MS) });

/**
 * Triton's statistics. `queue` counts rows, and `compute_infer` batches: their means are what trtpipe
 * measures. Copies in and out are part of `compute_infer`.
 */
export function statsOf(model: ServedModel): ModelStatistics {
  const { tally } = model;
  const stats = model.stats();
  const runMs = stats.meanRunMs * stats.batches;
  return {
    name: model.name,
    version: model.version,
    last_inference: Math.round(tally.lastInferenceMs),
    inference_count: stats.rows,
    execution_count: stats.batches,
    inference_stats: {
      success: duration(tally.answered, tally.successMs),
      fail: duration(tally.unanswered, tally.failMs),
      queue: duration(stats.rows, stats.meanWaitMs * stats.rows),
      compute_input: duration(stats.batches, 0),
      compute_infer: duration(stats.batches, runMs),
      compute_output: duration(stats.batches, 0),
      cache_hit: duration(0, 0),
      cache_miss: duration(0, 0),
    },
    batch_stats: batchSizes(stats).map(([size, count]) => ({
      batch_size: size,
      compute_input: duration(count, 0),
      compute_infer: duration(count, stats.meanRunMs * count),
      compute_output: duration(count, 0),
    })),
  };
}

/** How often each batch size was run, whatever the reason; sizes that never were are left out. */
export function batchSizes({ sizes }: PipeStats): [size: number, count: number][] {
  const total = sizes.full.map((_, size) =>
    Object.values(sizes).reduce((sum, counts) => sum + counts[size], 0),
  );
  return total.flatMap((count, size) => (count > 0 ? [[size, count] as [number, number]] : []));
}
