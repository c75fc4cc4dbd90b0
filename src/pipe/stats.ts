/** `stats()`: the counters of all instances and of this caller, as plain data. */

import { threadsAway } from "../memory/calls.ts";
import { CounterF64, CounterWord } from "../memory/layout.ts";
import type { Pool } from "../memory/pool.ts";
import { State } from "../memory/pool.ts";
import { REASONS, Reason } from "../scheduler/decide.ts";
import type { Caller } from "./caller.ts";
import type { BatchReason, PipeStats } from "./stats-types.ts";

const STATES = [
  "starting",
  "idle",
  "leading",
  "running",
  "parked",
  "dead",
] as const satisfies (keyof typeof State)[];

export function readStats(pool: Pool, caller: Caller, instanceRestarts: number): PipeStats {
  const { instances, maxRows } = pool.shape;
  const sizes = byReason(() => new Array<number>(maxRows + 1).fill(0));
  const reasons = byReason(() => 0);
  const total = { batches: 0, rows: 0, reruns: 0, stale: 0, away: 0, waitMs: 0, runMs: 0 };
  const perInstance: PipeStats["instances"][number][] = [];
  for (let i = 0; i < instances; i++) {
    const at = pool.counters(i);
    const sums = pool.sums(i);
    const batches = pool.words[at + CounterWord.batches];
    const rows = pool.words[at + CounterWord.rows];
    total.batches += batches;
    total.rows += rows;
    total.reruns += pool.words[at + CounterWord.reruns];
    total.stale += pool.words[at + CounterWord.stale];
    total.away += threadsAway(pool, i);
    total.waitMs += sums[CounterF64.waitMs];
    total.runMs += sums[CounterF64.runMs];
    for (const reason of REASONS) {
      const from = at + CounterWord.sizes + Reason[reason] * (maxRows + 1);
      for (let size = 0; size <= maxRows; size++) {
        sizes[reason][size] += pool.words[from + size];
        reasons[reason] += pool.words[from + size];
      }
    }
    perInstance.push({ state: STATES[pool.state(i)], batches, rows });
  }
  return {
    ...caller.counts,
    refusals: { ...caller.counts.refusals },
    freeSlots: caller.freeSlots,
    ...caller.rowsNow(),
    quarantinedSlots: caller.quarantined,
    batches: total.batches,
    rows: total.rows,
    meanBatch: total.batches === 0 ? 0 : total.rows / total.batches,
    reasons,
    sizes,
    meanWaitMs: total.rows === 0 ? 0 : total.waitMs / total.rows,
    meanRunMs: total.batches === 0 ? 0 : total.runMs / total.batches,
    reruns: total.reruns,
    staleCompletions: total.stale,
    instanceRestarts,
    reloads: pool.reloads,
    quarantinedInstances: total.away,
    wakes: pool.wakes,
    instances: perInstance,
  };
}

function byReason<T>(make: () => T): Record<BatchReason, T> {
  return { full: make(), idle: make(), timeout: make(), drain: make() };
}
