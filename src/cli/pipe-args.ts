/** The options of a command that opens a pipe: the keys of its configuration, with hyphens. */

import type { PipeConfig } from "../index.ts";

/** Values stay text: `pipe()` reads numbers as TorchPipe writes them, and names the key if one is wrong. */
export const pipeArgs = {
  backend: { type: "string", valueHint: "X", description: "bracket expression; default: the best that runs" },
  "instance-num": { type: "string", valueHint: "N", description: "instances that run in parallel" },
  max: { type: "string", valueHint: "ROWS", description: "largest batch, or the largest full shapes" },
  min: { type: "string", valueHint: "ROWS", description: "smallest batch, or the smallest full shapes" },
  "batching-timeout": { type: "string", valueHint: "MS", description: "longest wait for a batch to fill" },
  "max-queue": { type: "string", valueHint: "ROWS", description: "rows that may be in flight" },
  "intra-op-threads": {
    type: "string",
    valueHint: "N",
    description: "threads that one instance computes with",
  },
  precision: { type: "string", valueHint: "P", description: "TensorRT: fp32, tf32, fp16 or bf16" },
  "device-id": { type: "string", valueHint: "N", description: "TensorRT: the CUDA device" },
} as const;

export type PipeArgs = { readonly [K in keyof typeof pipeArgs]?: string | undefined };

/** The configuration that the options of a command line make. `pipe()` checks it. */
export function pipeConfigOf(model: string, args: PipeArgs): PipeConfig {
  return { model, ...pipeKeysOf(args) };
}

/** The same for a model that is named elsewhere. */
export function pipeKeysOf(args: PipeArgs): PipeConfig {
  const given = Object.keys(pipeArgs).flatMap((name) => {
    const value = args[name as keyof PipeArgs];
    return value === undefined ? [] : [[name.replaceAll("-", "_"), value]];
  });
  return Object.fromEntries(given) as PipeConfig;
}
