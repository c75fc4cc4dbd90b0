/** Types of load.mjs, which Workers load as it is. */

import type { CallOptions, Pipe, PipeInput } from "trtpipe";

/** What became of a thread's requests. `failed`: as they should. */
export interface Totals {
  asked: number;
  right: number;
  failed: number;
  wrong: number;
  lost: number;
  /** What the first wrong or lost one said. */
  error?: string;
}

export interface Left {
  slots: number;
  listeners: number;
}

export type PipeName = "identity" | "onnx" | "fault" | "narrow" | "mortal" | "process" | "spare";

interface Expected {
  right?: (result: NonNullable<PipeInput["result"]>) => boolean;
  codes?: readonly string[];
  reason?: unknown;
  options?: CallOptions;
}

export function random(seed: number): () => number;

export class Load {
  constructor(pipes: Readonly<Record<PipeName, Pipe>>, options: { seed: number; sync: boolean });
  readonly totals: Totals;
  readonly lasting: { signal: AbortSignal; listeners: number };
  run(ms: number): Promise<void>;
  left(): Left;
  ask(models: Pipe, input: PipeInput, expected?: Expected): Promise<void>;
}
