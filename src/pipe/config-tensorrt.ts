/** The keys of TensorrtTensor. */

import type { ResolvedBackend } from "../backends/resolve.ts";
import { readChoice, readInteger, readSwitch, readText, refuse } from "./config-values.ts";
import type { TensorrtOptions } from "./types.ts";

const DEVICE_MAX = 63;
const CAPABILITIES = ["any", "current"] as const;
const COMPATIBLE = ["none", "ampere_plus", "same_compute_capability"] as const;

/** The C library's default of `pinned_bytes`. */
export const PINNED_BYTES = 67_108_864;

/** What was given, checked; what was not is left to the C library's defaults. */
export interface TensorrtConfig {
  /** In the order in which instances are made on them. */
  deviceIds: readonly number[] | null;
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
    deviceIds: read("device_id", readDevices, null),
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

/** One device, or several. */
function readDevices(field: string, value: unknown): readonly number[] {
  if (!Array.isArray(value)) return [readInteger(field, value, 0, DEVICE_MAX)];
  const ids = Array.from(value as unknown[], (one, i) => readInteger(`${field}[${i}]`, one, 0, DEVICE_MAX));
  if (ids.length > 0 && new Set(ids).size === ids.length) return ids;
  throw refuse(field, value, "at least one device, and each once");
}

/** Each device runs an instance at least. Throws ConfigError. */
export function checkDevices({ deviceIds }: TensorrtConfig, instanceNum: number): void {
  if (deviceIds === null || deviceIds.length <= instanceNum) return;
  const expected = `at most as many devices as instance_num, which is ${instanceNum}`;
  throw refuse("device_id", deviceIds, expected);
}

/** Device memory is for those who run in this process on a device. */
export function readOutput(
  field: string,
  value: unknown,
  backend: ResolvedBackend | null,
): "host" | "device" {
  const output = readChoice(field, value, ["host", "device"]);
  if (output === "host" || backend === null) return output;
  if (backend.process !== null) {
    throw refuse(
      field,
      value,
      '"host", because Process[X] runs in other processes, whose device memory is theirs',
    );
  }
  if (backend.name === "TensorrtTensor") return output;
  throw refuse(field, value, `"host", because ${backend.name} gives host memory`);
}
