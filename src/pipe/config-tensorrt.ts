/** The keys of TensorrtTensor. */

import { readChoice, readInteger, readSwitch, readText } from "./config-values.ts";
import type { TensorrtOptions } from "./types.ts";

const CAPABILITIES = ["any", "current"] as const;
const COMPATIBLE = ["none", "ampere_plus", "same_compute_capability"] as const;

/** What was given, checked; what was not is left to the C library's defaults. */
export interface TensorrtConfig {
  deviceId: number | null;
  cache: string | null;
  workspaceMb: number | null;
  optimizationLevel: number | null;
  cudaGraph: boolean | null;
  pinnedBytes: number | null;
  deviceSpinUs: number | null;
  computeCapability: (typeof CAPABILITIES)[number] | null;
  hardwareCompatibility: (typeof COMPATIBLE)[number] | null;
  library: string | null;
}

type Key = keyof TensorrtOptions;
type Reader = <T>(key: Key, reader: (field: string, value: unknown) => T, absent: null) => T | null;

/** `read` gives the value of a key, read by `reader`, or null if it was not given. Throws ConfigError. */
export function readTensorrt(read: Reader): TensorrtConfig {
  const integer = (key: Key, low: number, high: number): number | null =>
    read(key, (field, value) => readInteger(field, value, low, high), null);
  const path = (key: Key): string | null =>
    read(key, (field, value) => readText(field, value, "a path"), null);
  return {
    deviceId: integer("device_id", 0, 63),
    cache: path("model::cache"),
    workspaceMb: integer("max_workspace_size", 1, 1_048_576),
    optimizationLevel: integer("optimization_level", 0, 5),
    cudaGraph: read("cuda_graph", readSwitch, null),
    pinnedBytes: integer("pinned_bytes", 0, 2 ** 32 - 1),
    deviceSpinUs: integer("device_spin_us", 0, 10_000),
    computeCapability: read(
      "compute_capability",
      (field, value) => readChoice(field, value, CAPABILITIES),
      null,
    ),
    hardwareCompatibility: read(
      "hardware_compatibility",
      (field, value) => readChoice(field, value, COMPATIBLE),
      null,
    ),
    library: path("tensorrt"),
  };
}
