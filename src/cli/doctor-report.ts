/** What `doctor` finds, and what it makes of it. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { environment, koffiVersion, onnxruntimes, tensorrtPaths } from "../internal.ts";
import { advise, type Advice } from "./doctor-advice.ts";
import { isMissing, probe, probeSelf, type Found } from "./probe.ts";

export interface Self {
  path: string;
  version: string;
  binding: string;
  backends: readonly string[];
  runtime: string;
}

export interface Cuda {
  path: string;
  /** Newest CUDA that the driver runs. */
  version: string;
  devices: readonly Found<{ device: number; name: string; computeCapability: string; uuid: string }>[];
}

export interface Tensorrt {
  path: string;
  version: string;
  /** Which table of virtual functions it is called through, and what this version lacks of it. */
  slotTable: string;
  slotsAbsent: readonly string[];
  parser: Found<{ path: string }>;
  /** Started on device 0. */
  runtime: Found<{ device: string }>;
}

export interface Report {
  /** What the exit status says. */
  ok: boolean;
  asked: "gpu" | "cpu";
  platform: string;
  library: Found<Self>;
  koffi: Found<{ version: string }> | null;
  host: Found<{ path: string }>;
  onnxruntime: Found<{ path: string; version: string }>;
  /** null with --cpu: not looked for. */
  driver: Found<{ version: string }> | null;
  cuda: Found<Cuda> | null;
  tensorrt: Found<Tensorrt> | null;
  builderResource: Found<{ paths: readonly string[] }> | null;
  /** What can be done here. */
  can: { runOnCpu: boolean; runOnGpu: boolean; buildEngines: boolean };
  advice: readonly Advice[];
}

export async function examine(cpuOnly: boolean): Promise<Report> {
  const library = await probeSelf<Self>();
  const host = findHost(library);
  const ask = async <T>(what: string, options: [string, string][]): Promise<Found<T>> =>
    isMissing(host)
      ? { missing: "not looked for: there is no host program" }
      : probe<T>(host.path, what, options);
  const gpuOptions = tensorrtPaths(null).filter(([key]) => key !== "host");
  const cudaOptions = gpuOptions.filter(([key]) => key === "cuda");
  const [onnxruntime, cuda, tensorrt] = await Promise.all([
    ask<{ path: string; version: string }>(
      "onnxruntime",
      onnxruntimes(null).map((one) => ["onnxruntime", one]),
    ),
    cpuOnly ? null : ask<Cuda>("cuda", cudaOptions),
    cpuOnly ? null : ask<Tensorrt>("tensorrt", gpuOptions),
  ]);
  const builderResource = tensorrt === null || isMissing(tensorrt) ? null : findBuilderResource(tensorrt);
  const can = abilities(library, onnxruntime, cuda, tensorrt, builderResource);
  const findings: Omit<Report, "advice"> = {
    ok: cpuOnly ? can.runOnCpu : can.runOnGpu,
    asked: cpuOnly ? "cpu" : "gpu",
    platform: `${process.platform}-${process.arch}`,
    library,
    koffi: findKoffi(),
    host,
    onnxruntime,
    driver: cpuOnly ? null : findDriver(),
    cuda,
    tensorrt,
    builderResource,
    can,
  };
  return { ...findings, advice: advise(findings) };
}

function abilities(
  library: Report["library"],
  onnxruntime: Report["onnxruntime"],
  cuda: Report["cuda"],
  tensorrt: Report["tensorrt"],
  builderResource: Report["builderResource"],
): Report["can"] {
  const loads = !isMissing(library);
  const runOnGpu =
    loads &&
    cuda !== null &&
    !isMissing(cuda) &&
    cuda.devices.some((device) => !isMissing(device)) &&
    tensorrt !== null &&
    !isMissing(tensorrt) &&
    !isMissing(tensorrt.runtime);
  const builds =
    tensorrt !== null &&
    !isMissing(tensorrt) &&
    !isMissing(tensorrt.parser) &&
    (builderResource === null || !isMissing(builderResource));
  return { runOnCpu: loads && !isMissing(onnxruntime), runOnGpu, buildEngines: runOnGpu && builds };
}

function findHost(library: Report["library"]): Report["host"] {
  const named = environment("TRTPIPE_HOST");
  if (!named && isMissing(library)) return { missing: "not looked for: it lies beside the C library" };
  const path = named ?? join(dirname((library as Self).path), "trtpipe-host");
  return statSync(path, { throwIfNoEntry: false })?.isFile()
    ? { path }
    : { missing: `no such file: ${path}` };
}

/** Node calls the C library through koffi; the other runtimes have foreign functions of their own. */
function findKoffi(): Report["koffi"] {
  if ("Bun" in globalThis || "Deno" in globalThis) return null;
  try {
    return { version: koffiVersion() };
  } catch (error) {
    return { missing: (error as Error).message.split("\n")[0] };
  }
}

/** The kernel's part of NVIDIA's driver. */
function findDriver(): Report["driver"] {
  try {
    const text = readFileSync("/proc/driver/nvidia/version", "utf8");
    return { version: / (\d+\.[\d.]+) /.exec(text)?.[1] ?? text.split("\n")[0] };
  } catch {
    return { missing: "there is no /proc/driver/nvidia/version" };
  }
}

/** Where TensorRT's builder looks for its kernels: beside the library, and where the loader looks. */
function findBuilderResource({ path, slotTable }: Tensorrt): Report["builderResource"] {
  // RTX has its kernels in the library.
  if (slotTable.includes("RTX")) return null;
  const folders = [dirname(path), ...(environment("LD_LIBRARY_PATH") ?? "").split(":").filter(Boolean)];
  const paths = folders.flatMap((folder) => list(folder).map((name) => join(folder, name)));
  const found = paths.filter((one) => /\/libnvinfer_builder_resource[^/]*\.so/.test(one));
  if (found.length > 0) return { paths: found };
  return { missing: `no libnvinfer_builder_resource*.so in ${folders.join(", ")}` };
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
