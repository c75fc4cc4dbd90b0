/** Runs everything once a round, in a new order each time, and repeats what other processes disturbed. */

import type { Command, Outcome } from "./run-child.ts";
import { runChild } from "./run-child.ts";
import type { Run } from "./plan.ts";
import { Results } from "./results.ts";
import { seededRandom, shuffle } from "./stats.ts";

/** Above this many cores used by others a run is repeated. */
const FOREIGN_CORES = 0.2;
const REPEATS = 3;

export interface Progress {
  (text: string): void;
}

export async function runRounds(
  runs: readonly Run[],
  rounds: number,
  seed: number,
  progress: Progress,
): Promise<Results> {
  const results = new Results(runs, rounds);
  const random = seededRandom(seed);
  const total = runs.length * rounds;
  const startedAt = performance.now();
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    for (const run of shuffle(runs, random)) {
      const spent = (performance.now() - startedAt) / 1000;
      const left = done === 0 ? "" : `, about ${minutes((spent / done) * (total - done))} left`;
      progress(`${done + 1}/${total}${left}: round ${round + 1}, ${run.name}`);
      if ("unavailable" in run.command) results.unavailable(run, run.command);
      else results.add(run, round, await quietly(run.command, progress), FOREIGN_CORES);
      done++;
    }
  }
  return results;
}

/**
 * Runs a process until little else ran beside it; the quietest attempt counts, but what went wrong always
 * does.
 */
async function quietly(command: Command, progress: Progress): Promise<Outcome> {
  let best = await runChild(command);
  for (let repeat = 0; repeat < REPEATS && !failed(best) && foreign(best) > FOREIGN_CORES; repeat++) {
    progress(`again: others used ${foreign(best).toFixed(2)} cores`);
    const next = await runChild(command);
    if (failed(next) || foreign(next) < foreign(best)) best = next;
  }
  return best;
}

function failed(outcome: Outcome): boolean {
  return outcome.error !== undefined || outcome.cells.some((cell) => cell.wrong > 0);
}

/** Cores that others used; as good as none where the system does not tell. */
function foreign(outcome: Outcome): number {
  return outcome.foreignCores ?? 0;
}

function minutes(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}
