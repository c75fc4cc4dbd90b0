/** What the loading instance is asked to do: which model, and with which backends in which order. */

import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { ConfigError } from "../errors.ts";
import { environment } from "../native/locate.ts";
import type { EngineCandidate, LoadMessage } from "../protocol.ts";
import { isEngineFile } from "../backends/resolve.ts";
import type { BackendName } from "../backends/resolve.ts";
import type { ParsedConfig } from "./config.ts";
import { engineOptions, graphConversion, processOptions } from "./engine-options.ts";

/** In order of preference, when the configuration names none. */
const PREFERRED: readonly BackendName[] = ["TensorrtTensor", "OnnxTensor"];

const LOADERS: readonly string[] = ["libonnxruntime.so.1", "libonnxruntime.so"];

/**
 * `library` is the path of the C library that this thread has loaded; the instances load the same. `build` is
 * the handle by which this thread watches the building of an engine.
 */
export function loadMessage(config: ParsedConfig, library: string, build: number | null): LoadMessage {
  const { model, backend } = config;
  const engine = typeof model === "string" && isEngineFile(model);
  // What only TensorRT can do is no reason to do without it.
  const preferred = engine || config.output === "device" ? PREFERRED.slice(0, 1) : PREFERRED;
  const names = (backend === null ? preferred : [backend.name]).filter((name) => canCompute(config, name));
  const libraries = names.includes("OnnxTensor") ? onnxruntimes(config.onnxruntime) : [];
  const candidates = names.map((name): EngineCandidate => {
    const apart = backend !== null && backend.process !== null;
    const [options, ...more] = devicesOf(config, name).map((deviceId) => {
      const inner: (readonly [string, string])[] = [...engineOptions(config, name, deviceId)];
      if (name === "OnnxTensor") for (const file of libraries) inner.push(["onnxruntime", file]);
      if (name === "TensorrtTensor") inner.push(...tensorrtPaths(config.tensorrt.library));
      // A child process builds by itself, where no handle of this process means anything.
      if (name === "TensorrtTensor" && !apart && build !== null) inner.push(["build", String(build)]);
      return apart ? processOptions(backend.process!, inner, config.runTimeoutMs) : inner;
    });
    const conversion = engine ? null : graphConversion(config, name);
    return { backend: apart ? `Process[${name}]` : name, options, more, conversion };
  });
  return {
    kind: "load",
    library,
    path: typeof model === "string" ? model : "",
    bytes: model instanceof Uint8Array ? model : null,
    image: config.image,
    candidates,
  };
}

/** Whether a backend has the precision; that one that is named has not is a ConfigError. */
function canCompute({ backend, precision }: ParsedConfig, name: BackendName): boolean {
  if (name !== "OnnxTensor" || precision.conversion?.dtype !== "bfloat16") return true;
  if (backend === null) return false;
  const expected = "fp32, tf32 or fp16, because ONNX Runtime's CPU kernels have no bfloat16";
  throw new ConfigError("precision", "bf16", expected);
}

/** The devices that the model is loaded on; null: the default one, or none. */
function devicesOf({ tensorrt }: ParsedConfig, backend: BackendName): readonly (number | null)[] {
  return backend === "TensorrtTensor" && tensorrt.deviceIds !== null ? tensorrt.deviceIds : [null];
}

/**
 * Libraries to try in order. What the key `onnxruntime` or TRTPIPE_ONNXRUNTIME names is the only one; else
 * it is that of the npm package, then what the system's loader finds.
 */
export function onnxruntimes(configured: string | null): readonly string[] {
  const named = configured ?? environment("TRTPIPE_ONNXRUNTIME");
  if (named) return [named];
  const packaged = fromPackage();
  return packaged === null ? LOADERS : [packaged, ...LOADERS];
}

/**
 * Where TensorRT, CUDA's driver and the program that builds engines are, as far as it is said; the C library
 * finds the others.
 */
export function tensorrtPaths(library: string | null): [string, string][] {
  const paths: [string, string | null | undefined][] = [
    ["tensorrt", library ?? environment("TRTPIPE_TENSORRT")],
    ["cuda", environment("TRTPIPE_CUDA")],
    ["host", environment("TRTPIPE_HOST")],
  ];
  return paths.flatMap(([key, path]): [string, string][] => (path ? [[key, path]] : []));
}

/**
 * The library inside the npm package onnxruntime-node, seen from the program's folder or from this package.
 */
function fromPackage(): string | null {
  for (const base of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      const manifest = createRequire(base).resolve("onnxruntime-node/package.json");
      return findLibrary(join(dirname(manifest), "bin"));
    } catch {
      // Not installed here.
    }
  }
  return null;
}

/** bin/napi-vN/<platform>/<arch>/libonnxruntime.so.1, where N grows with releases. */
function findLibrary(bin: string): string | null {
  for (const napi of readdirSync(bin)) {
    const folder = join(bin, napi, process.platform, process.arch);
    const file = list(folder).find((name) => /^libonnxruntime\.(so|[\d.]*dylib)/.test(name));
    if (file !== undefined) return join(folder, file);
  }
  return null;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
