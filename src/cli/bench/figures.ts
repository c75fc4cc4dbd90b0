/** What one measurement gives. */

import type { Counters } from "./target.ts";

/** One row of the report. Latencies count answered requests only. */
export interface Figures {
  /** Closed loop: clients that each wait for their answer. Absent in an open loop. */
  clients?: number;
  /** Open loop: requests a second that were asked for. Absent in a closed loop. */
  rate?: number;
  /** Measured time. */
  seconds: number;
  requests: number;
  /** Failed requests by the error's name. */
  failures: Record<string, number>;
  requests_per_s: number;
  /** null where nothing was answered. */
  p50_ms: number | null;
  p90_ms: number | null;
  p99_ms: number | null;
  max_ms: number | null;
  /** Rows in a batch; null where the target does not tell. */
  mean_batch: number | null;
}

/** Collects answers from `startMs` on. */
export class Recorder {
  readonly #latencies: number[] = [];
  readonly #failures = new Map<string, number>();
  #startMs = 0;
  #before: Counters | undefined;

  /** Forgets the warm-up. */
  begin(nowMs: number, counters: Counters | undefined): void {
    this.#startMs = nowMs;
    this.#before = counters;
    this.#latencies.length = 0;
    this.#failures.clear();
  }

  answered(latencyMs: number): void {
    this.#latencies.push(latencyMs);
  }

  failed(error: unknown): void {
    const name = error instanceof Error ? error.name : "Error";
    this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
  }

  get answers(): number {
    return this.#latencies.length;
  }

  end(nowMs: number, after: Counters | undefined): Omit<Figures, "clients" | "rate"> {
    const sorted = Float64Array.from(this.#latencies).toSorted();
    const at = (fraction: number): number | null =>
      sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))];
    const seconds = (nowMs - this.#startMs) / 1000;
    return {
      seconds,
      requests: sorted.length,
      failures: Object.fromEntries(this.#failures),
      requests_per_s: sorted.length / seconds,
      p50_ms: at(0.5),
      p90_ms: at(0.9),
      p99_ms: at(0.99),
      max_ms: at(1),
      mean_batch: meanBatch(this.#before, after),
    };
  }
}

function meanBatch(before: Counters | undefined, after: Counters | undefined): number | null {
  if (before === undefined || after === undefined) return null;
  const batches = after.batches - before.batches;
  return batches === 0 ? null : (after.rows - before.rows) / batches;
}
