/** Which of the measured configurations is best. Pure. */

import type { Candidate } from "./candidates.ts";

export interface Measured {
  candidate: Candidate;
  requestsPerS: number;
  p50Ms: number;
  p99Ms: number;
  meanBatch: number;
  /** Requests that failed while it was measured. */
  failed: number;
}

/** What is wanted: most requests a second, within a bound of p99 if there is one; or the lowest p99. */
export interface Goal {
  kind: "throughput" | "latency";
  p99LimitMs: number | undefined;
}

/** Differences below this are noise; the smaller configuration is then as good. */
export const NOISE = 0.03;

/** Those that fit the goal, best first. One that failed requests fits nothing. */
export function rank(measured: readonly Measured[], goal: Goal): Measured[] {
  return measured.filter((one) => fits(one, goal)).toSorted((a, b) => better(a, b, goal));
}

export function fits(one: Measured, { p99LimitMs }: Goal): boolean {
  return one.failed === 0 && (p99LimitMs === undefined || one.p99Ms <= p99LimitMs);
}

function better(a: Measured, b: Measured, goal: Goal): number {
  return goal.kind === "latency" ? a.p99Ms - b.p99Ms : b.requestsPerS - a.requestsPerS;
}

/** The smallest configuration among those that are as good as the best. undefined if none fits. */
export function choose(measured: readonly Measured[], goal: Goal): Measured | undefined {
  const ranked = rank(measured, goal);
  if (ranked.length === 0) return undefined;
  const [best] = ranked;
  const asGood = ranked.filter((one) =>
    goal.kind === "latency"
      ? one.p99Ms <= best.p99Ms * (1 + NOISE)
      : one.requestsPerS >= best.requestsPerS * (1 - NOISE),
  );
  return asGood.toSorted((a, b) => size(a) - size(b))[0];
}

/** What a configuration costs in memory and waiting, to compare: instances first, then rows, then ms. */
function size({ candidate: { instanceNum, max, batchingTimeoutMs } }: Measured): number {
  return instanceNum * 1e9 + max * 1e4 + batchingTimeoutMs;
}

/** Those worth another look: the best third, no fewer than `least`, and what nearly fits the bound. */
export function survivors(measured: readonly Measured[], goal: Goal, least: number): Candidate[] {
  // A short measurement's p99 is nearly its slowest answer, so the bound is not held against anyone yet.
  const loose = { ...goal, p99LimitMs: goal.p99LimitMs === undefined ? undefined : goal.p99LimitMs * 1.5 };
  const ranked = rank(measured, loose);
  const nearest = measured.filter((one) => one.failed === 0).toSorted((a, b) => a.p99Ms - b.p99Ms);
  const from = ranked.length > 0 ? ranked : nearest;
  return from.slice(0, Math.max(least, Math.ceil(measured.length / 3))).map(({ candidate }) => candidate);
}
