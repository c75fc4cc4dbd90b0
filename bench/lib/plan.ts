/** What a bench wants to run, and the rows that come of it. */

import type { Command } from "./run-child.ts";
import type { Bench } from "./args.ts";
import type { Runtime } from "./process.ts";

/** One line of the result. Two rows are the same if all of these are equal. */
export interface Row {
  bench: Bench;
  /** "native" and "python" for what runs in no JavaScript runtime. */
  runtime: Runtime | "native" | "python";
  contender: string;
  /** How the contender was set up, where it was tried in several ways; of those the best counts. */
  setting?: string;
  model?: string;
  threads?: number;
  payload_bytes?: number;
  in_flight: number;
}

/** One process. It reports a cell for each of its rows. */
export interface Run {
  /** What the progress line and --filter see. */
  name: string;
  rows: ReadonlyMap<string, Row>;
  /** How to start it, or why it cannot be. `optional`: its absence is not an error. */
  command: Command | { unavailable: string; optional: boolean };
  /** Kept whatever --only and --without say. */
  baseline: boolean;
}

/** Rows that are shown together. */
export interface Table {
  title: string;
  rows: Row[];
}

export function rowId(row: Row): string {
  return `${familyId(row)}|${row.setting ?? ""}`;
}

/** Rows that differ in nothing but their setting. */
export function familyId(row: Row): string {
  const { runtime, contender, model = "", threads = "", payload_bytes = "", in_flight } = row;
  return [row.bench, runtime, contender, model, threads, payload_bytes, in_flight].join("|");
}
