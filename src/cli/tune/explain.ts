/** Why the chosen configuration: what each of its numbers gained, from what was measured. Pure. */

import { shown } from "../bench/report.ts";
import type { Candidate } from "./candidates.ts";
import { NOISE, type Goal, type Measured } from "./choose.ts";

/** One sentence for each number, as far as a measurement differs from the choice in that number alone. */
export function explain(best: Measured, all: readonly Measured[], goal: Goal): string[] {
  const { candidate } = best;
  const sentences = [
    against(best, all, goal, `max: ${candidate.max}`, (other) => ({ ...candidate, max: other.max })),
    against(best, all, goal, splitOf(candidate), ({ instanceNum, intraOpThreads }) => ({
      ...candidate,
      instanceNum,
      intraOpThreads,
    })),
    against(best, all, goal, `batching_timeout: ${candidate.batchingTimeoutMs}`, (other) => ({
      ...candidate,
      batchingTimeoutMs: other.batchingTimeoutMs,
    })),
  ];
  return sentences.filter((sentence) => sentence !== undefined);
}

/** Compares the choice with the best other one that differs only as `only` says. */
function against(
  best: Measured,
  all: readonly Measured[],
  goal: Goal,
  what: string,
  only: (other: Candidate) => Candidate,
): string | undefined {
  const others = all.filter(
    ({ candidate }) => !same(candidate, best.candidate) && same(candidate, only(candidate)),
  );
  if (others.length === 0) return undefined;
  const value = (one: Measured): number => (goal.kind === "latency" ? 1 / one.p99Ms : one.requestsPerS);
  const ends = [others.reduce((a, b) => (value(b) > value(a) ? b : a))];
  const worst = others.reduce((a, b) => (value(b) < value(a) ? b : a));
  if (worst !== ends[0]) ends.push(worst);
  const parts = ends.map((other) => `${times(value(best) / value(other))} ${difference(best, other)}`);
  return `${what} gives ${parts.join(", and ")}.`;
}

function times(ratio: number): string {
  return Math.abs(ratio - 1) <= NOISE ? "as much as" : `${shown(ratio)} times what`;
}

function difference({ candidate: best }: Measured, { candidate: other }: Measured): string {
  if (other.max !== best.max) return `max: ${other.max}`;
  if (other.batchingTimeoutMs !== best.batchingTimeoutMs) {
    return `batching_timeout: ${other.batchingTimeoutMs}`;
  }
  return splitOf(other);
}

export function splitOf({ instanceNum, intraOpThreads }: Candidate): string {
  const threads = intraOpThreads === null ? "" : `, intra_op_threads: ${intraOpThreads}`;
  return `instance_num: ${instanceNum}${threads}`;
}

export function same(a: Candidate, b: Candidate): boolean {
  return (
    a.instanceNum === b.instanceNum &&
    a.intraOpThreads === b.intraOpThreads &&
    a.max === b.max &&
    a.batchingTimeoutMs === b.batchingTimeoutMs
  );
}
