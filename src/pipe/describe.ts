/** `describe()`: what was loaded and how, as plain data. */

import type { BindingName } from "../native/binding.ts";
import type { LoadedMessage } from "../protocol.ts";
import type { ParsedConfig } from "./config.ts";
import { specForPublic } from "./spec.ts";
import type { ModelSpec } from "./spec.ts";
import type { PipeDescription } from "./types.ts";

export function describePipe(
  config: ParsedConfig,
  { spec, model: loaded }: { spec: ModelSpec; model: LoadedMessage },
  binding: BindingName,
  reloads: number,
): PipeDescription {
  const { engine, library } = loaded.description as { engine: string; library: string };
  return {
    backend: loaded.backend,
    backendReason: loaded.reason || (config.backend === null ? "the best that runs here" : "configured"),
    engine,
    engineLibrary: library,
    binding,
    runtime: runtimeName(),
    model: typeof config.model === "string" ? config.model : config.model === null ? "" : "bytes",
    inputs: specForPublic(spec, spec.inputs),
    outputs: specForPublic(spec, spec.outputs),
    batch: spec.batch,
    instanceNum: config.instanceNum,
    max: spec.maxRows,
    min: spec.minRows,
    batchingTimeoutMs: config.batchingTimeoutMs,
    runTimeoutMs: config.runTimeoutMs || Number(config.backend?.process?.run_timeout ?? 0),
    maxQueue: spec.maxQueue,
    maxCallers: config.maxCallers,
    intraOpThreads: config.intraOpThreads,
    session: config.session,
    reloads,
    devices: spec.device === null ? [] : spec.device.ids,
  };
}

function runtimeName(): string {
  const { bun, deno, node } = process.versions as Record<string, string | undefined>;
  if (bun) return `bun ${bun}`;
  return deno ? `deno ${deno}` : `node ${node}`;
}
