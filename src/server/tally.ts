/**
 * What a version of a model has done since the server started. It outlives the model's pipes, so that
 * counters never fall when the model is loaded anew.
 */

import type { BatchReason, Pipe, PipeStats } from "../index.ts";
import type { Outcome } from "./failure.ts";
import { Histogram } from "./histogram.ts";

/** Seconds: from a request's body being there to its answer. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export type Protocol = "http" | "grpc";

export interface OutcomeCount {
  protocol: Protocol;
  outcome: Outcome;
  count: number;
}

/** What of a pipe's numbers is counted from its beginning. */
type Counted = Pick<
  PipeStats,
  "batches" | "rows" | "reasons" | "sizes" | "meanWaitMs" | "meanRunMs" | "reruns" | "instanceRestarts"
>;

export class Tally {
  readonly counts: OutcomeCount[] = [];
  readonly seconds: Histogram = new Histogram(SECONDS);
  /** Sum of what requests that were answered, and others, took. */
  successMs = 0;
  failMs = 0;
  lastInferenceMs = 0;
  /** Of pipes that are gone; null: there is none. */
  #past: Counted | null = null;
  /** Pipes that still finish what they have, and the ends of all. */
  readonly #ending = new Set<Pipe>();
  readonly #ends = new WeakMap<Pipe, Promise<void>>();

  count(protocol: Protocol, outcome: Outcome, startMs: number): void {
    let entry = this.counts.find((one) => one.protocol === protocol && one.outcome === outcome);
    if (entry === undefined) this.counts.push((entry = { protocol, outcome, count: 0 }));
    entry.count++;
    const ms = performance.now() - startMs;
    this.seconds.observe(ms / 1000);
    if (outcome === "ok") {
      this.successMs += ms;
      this.lastInferenceMs = Date.now();
    } else this.failMs += ms;
  }

  /** Requests that were answered, and those that were not. */
  get answered(): number {
    return this.#sum((outcome) => outcome === "ok");
  }

  get unanswered(): number {
    return this.#sum((outcome) => outcome !== "ok");
  }

  /** Ends a pipe, and keeps what it has counted. May be called more than once. */
  end(pipe: Pipe): Promise<void> {
    const end = this.#ends.get(pipe) ?? this.#end(pipe);
    this.#ends.set(pipe, end);
    return end;
  }

  async #end(pipe: Pipe): Promise<void> {
    this.#ending.add(pipe);
    try {
      await pipe.close();
    } finally {
      this.#ending.delete(pipe);
      this.#past = together(pipe.stats(), this.#past);
    }
  }

  /** A pipe's numbers, and what those before it have counted. */
  whole(pipe: Pipe): PipeStats {
    const stats = pipe.stats();
    let before = this.#past;
    for (const one of this.#ending) if (one !== pipe) before = together(one.stats(), before);
    return before === null ? stats : { ...stats, ...together(stats, before) };
  }

  #sum(counts: (outcome: Outcome) => boolean): number {
    let sum = 0;
    for (const { outcome, count } of this.counts) if (counts(outcome)) sum += count;
    return sum;
  }
}

function together(one: Counted, other: Counted | null): Counted {
  if (other === null) return one;
  const [rows, batches] = [one.rows + other.rows, one.batches + other.batches];
  const waitMs = one.meanWaitMs * one.rows + other.meanWaitMs * other.rows;
  const runMs = one.meanRunMs * one.batches + other.meanRunMs * other.batches;
  return {
    rows,
    batches,
    reasons: byReason((reason) => one.reasons[reason] + other.reasons[reason]),
    sizes: byReason((reason) => added(one.sizes[reason], other.sizes[reason])),
    meanWaitMs: rows === 0 ? 0 : waitMs / rows,
    meanRunMs: batches === 0 ? 0 : runMs / batches,
    reruns: one.reruns + other.reruns,
    instanceRestarts: one.instanceRestarts + other.instanceRestarts,
  };
}

function byReason<T>(make: (reason: BatchReason) => T): Record<BatchReason, T> {
  return { full: make("full"), idle: make("idle"), timeout: make("timeout"), drain: make("drain") };
}

/** One of them may have had a smaller `max`. */
function added(one: readonly number[], other: readonly number[]): number[] {
  const length = Math.max(one.length, other.length);
  return Array.from({ length }, (_, size) => (one[size] ?? 0) + (other[size] ?? 0));
}
