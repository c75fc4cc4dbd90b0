/** The records of a day on a GPU, as bench/results keeps them: one JSON object a line. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One run of gpu/reference.mjs. */
export interface PipeRun {
  section: string;
  runtime: string;
  precision: string;
  spin_us?: number;
  device_spin_us?: number;
  pinned_bytes?: number;
  cuda_graph?: number;
  instance_num: number;
  max: number;
  clients: number;
  requests: number;
  wrong: number;
  failed: number;
  requests_per_s: number;
  lone_p50_ms: number;
}

/** One run of gpu/check.c. */
export interface LoopRun {
  section: string;
  precision: string;
  rows: number;
  copy: number;
  spin_us?: number;
  pinned_bytes?: number;
  cuda_graph?: number;
  latency: { rows: number; p50_ms: number }[];
  throughput: { instances: number; rows_per_s: number }[];
}

/** One cell of gpu/torch_loop.py. */
export interface TorchRun {
  contender: string;
  precision: string;
  batch: number;
  rows_per_s: number;
}

export interface Day {
  pipe: PipeRun[];
  loop: LoopRun[];
  torch: TorchRun[];
}

export function readDay(folder: string): Day {
  const torch = lines(folder, "torch.jsonl") as Partial<TorchRun>[];
  return {
    pipe: lines(folder, "pipe.jsonl") as PipeRun[],
    loop: lines(folder, "c-loop.jsonl") as LoopRun[],
    torch: torch.filter((record): record is TorchRun => record.contender !== undefined),
  };
}

function lines(folder: string, name: string): unknown[] {
  const text = readFileSync(join(folder, name), "utf8");
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as unknown]));
}

/** Keys of which one that is missing differs from one that is there. */
const OPTIONS = ["spin_us", "device_spin_us", "pinned_bytes", "cuda_graph"] as const;

/**
 * The one record with these values and, of the options above, no others. Throws if there is none, or more
 * than one: a plot must not choose.
 */
export function one<T extends object>(records: readonly T[], wanted: Partial<T>): T {
  const found = records.filter((record) => {
    const same = Object.entries(wanted).every(([key, value]) => record[key as keyof T] === value);
    return same && OPTIONS.every((key) => key in wanted || !(key in record));
  });
  if (found.length === 1) return found[0];
  throw new Error(`Cannot plot ${JSON.stringify(wanted)}: expected one record, got ${found.length}`);
}

/** Rows a second of a C loop with so many instances. */
export function speed({ throughput }: LoopRun, instances: number): number {
  return one(throughput, { instances }).rows_per_s;
}
