/** The options with which the C library opens a model. */

import { resolve } from "node:path";
import type { BackendName, ProcessArguments } from "../backends/resolve.ts";
import { environment } from "../native/locate.ts";
import type { EngineCandidate, EngineOptions } from "../protocol.ts";
import { spinUsOf } from "./busy-wait.ts";
import { RUN_TIMEOUT_MS_MAX } from "./config.ts";
import type { ParsedConfig } from "./config.ts";
import { parseDims, readInteger, refuse } from "./config-values.ts";
import type { Limit } from "./config-values.ts";
import { dtypeOfNumber, dtypes, isDtype, names } from "./dtype.ts";
import { MAX_RANK } from "../native/abi.ts";

/**
 * Options of tp_model_open for one backend, but for where its library lies. Throws ConfigError for a
 * backend's arguments that mean nothing.
 */
export function engineOptions(
  config: ParsedConfig,
  backend: BackendName,
  deviceId: number | null = null,
): EngineOptions {
  const options: [string, string][] = [["backend", backend]];
  if (backend === "Identity" || backend === "Fault") return [...options, ...echoOptions(config)];
  if (typeof config.model === "string") options.push(["path", config.model]);
  if (backend === "TensorrtTensor") return [...options, ...tensorrtOptions(config, deviceId)];
  options.push(["threads", String(config.intraOpThreads)], ["session", config.session]);
  return options;
}

/** What is not given has the C library's default. */
function tensorrtOptions(config: ParsedConfig, deviceId: number | null): [string, string][] {
  const { tensorrt, min, max, output } = config;
  const given: [string, string | number | null][] = [
    ["min", min && limitText(min)],
    ["max", max && limitText(max)],
    ["spin_us", tensorrt.deviceSpinUs ?? Math.round(spinUsOf(config, "TensorrtTensor"))],
    ["device_id", deviceId],
    ["output", output === "host" ? null : output],
    ["precision", enginePrecision(config)],
    ["model::cache", tensorrt.cache],
    ["max_workspace_size", tensorrt.workspaceMb],
    ["optimization_level", tensorrt.optimizationLevel],
    ["cuda_graph", tensorrt.cudaGraph === null ? null : Number(tensorrt.cudaGraph)],
    ["pinned_bytes", tensorrt.pinnedBytes],
    ["compute_capability", tensorrt.computeCapability],
    ["hardware_compatibility", tensorrt.hardwareCompatibility],
  ];
  return given.flatMap(([key, value]): [string, string][] => (value === null ? [] : [[key, String(value)]]));
}

/** What TensorRT is asked for; where layers are named, the graph says it, and the rest is float32. */
function enginePrecision({ precision: { precision, layers } }: ParsedConfig): string | null {
  return layers && precision !== "tf32" ? null : precision;
}

/**
 * How the graph is converted for a backend. TensorRT 10 does it itself unless layers are named; ONNX Runtime
 * never does.
 */
export function graphConversion(config: ParsedConfig, backend: BackendName): EngineCandidate["conversion"] {
  const { conversion, layers } = config.precision;
  if (conversion === null) return null;
  return { ...conversion, when: backend === "TensorrtTensor" && !layers ? "asked" : "always" };
}

function limitText({ rows, shapes }: Limit): string {
  return shapes === null ? String(rows) : shapes.map((shape) => shape.join("x")).join(",");
}

const FILES: ReadonlySet<string> = new Set(["path", "model::cache"]);
const LIBRARIES: ReadonlySet<string> = new Set(["onnxruntime", "tensorrt", "cuda"]);

/**
 * The same for child processes that run the backend. Later ones may be started after the program has changed
 * its folder, so paths are made whole; what has no `/` is looked for by the system's loader.
 */
export function processOptions(
  args: Readonly<ProcessArguments>,
  inner: EngineOptions,
  runTimeoutMs = 0,
): EngineOptions {
  const [[, backend], ...others] = inner;
  const options: [string, string][] = [
    ["backend", "Process"],
    ["inner", backend],
  ];
  const host = args.host ?? environment("TRTPIPE_HOST");
  if (host) options.push(["host", resolve(host)]);
  if (args.run_timeout !== undefined) {
    const field = "backend argument run_timeout";
    options.push(["run_timeout", String(readInteger(field, args.run_timeout, 0, RUN_TIMEOUT_MS_MAX))]);
  } else if (runTimeoutMs !== 0) {
    options.push(["run_timeout", String(runTimeoutMs)]);
  }
  for (const [key, value] of others) {
    if (key === "host") continue;
    const isPath = FILES.has(key) || (LIBRARIES.has(key) && value.includes("/"));
    options.push([key, isPath ? resolve(value) : value]);
  }
  return options;
}

/** Shapes and dtypes of a backend without a model: its arguments, else the shape that `max` gives. */
function echoOptions({ backend, max }: ParsedConfig): [string, string][] {
  const args = backend?.args ?? {};
  const options: [string, string][] = [];
  const given = (key: string, read: (field: string, text: string) => string): void => {
    if (args[key] !== undefined) options.push([key, read(`backend argument ${key}`, args[key])]);
  };
  given("dtype", readDtype);
  if (args.shape === undefined && max?.shapes?.length === 1) {
    options.push(["shape", max.shapes[0].slice(1).join("x")]);
  }
  given("shape", readShape);
  given("output_dtype", readDtype);
  given("output_shape", readShape);
  given("fail_create", readCount);
  return options;
}

/** A dtype's number, from its name or the number itself. */
function readDtype(field: string, text: string): string {
  if (isDtype(text)) return String(dtypes[text].number);
  if (/^[0-9]{1,3}$/.test(text) && dtypeOfNumber(Number(text)) !== undefined) return String(Number(text));
  throw refuse(field, text, `a dtype, one of ${names().join(", ")}, or its ONNX number`);
}

/** An item shape, `3x224x224`; empty for a scalar, -1 for an open dimension. */
function readShape(field: string, text: string): string {
  const dims = text === "" ? [] : parseDims(text.replaceAll(/(?<=^|x)-1(?=x|$)/g, "0"));
  if (dims !== undefined && dims.length < MAX_RANK) return text;
  throw refuse(field, text, `an item shape of at most ${MAX_RANK - 1} dimensions such as "3x224x224"`);
}

function readCount(field: string, text: string): string {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return text;
  throw refuse(field, text, "an integer of at least 1");
}
