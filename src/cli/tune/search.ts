/** Successive halving: many short measurements, then longer ones of the best. */

import { defaultCandidate, firstRound, withTimeouts, type Candidate, type Space } from "./candidates.ts";
import { survivors, type Goal, type Measured } from "./choose.ts";
import { same } from "./explain.ts";

/** Measures one configuration for so many ms. Throws what opening it throws. */
export type Measure = (candidate: Candidate, measureMs: number) => Promise<Measured>;

export interface Search {
  space: Space;
  goal: Goal;
  measure: Measure;
  /** Time of the short measurements; the last ones take three times as long. */
  measureMs: number;
  /** Called before each measurement. */
  step(done: number, total: number): void;
}

const FINALISTS = 3;
const FINAL_ROUNDS = 3;

export interface Found {
  /** The configuration that `pipe()` has by default, measured beside the finalists. */
  baseline: Measured;
  finalists: readonly Measured[];
  /** All measurements, each configuration once, by its longest. */
  all: readonly Measured[];
}

/** First the splits and sizes, then the waits of the best, then three rounds of the last few in turn. */
export async function search({ space, goal, measure, measureMs, step }: Search): Promise<Found> {
  const all: Measured[] = [];
  const keep = (one: Measured): void => {
    const at = all.findIndex(({ candidate }) => same(candidate, one.candidate));
    if (at === -1) all.push(one);
    else all[at] = one;
  };
  const first = firstRound(space);
  let done = 0;
  const round = async (candidates: readonly Candidate[], after: number): Promise<Measured[]> => {
    const results: Measured[] = [];
    for (const candidate of candidates) {
      step(done, done + candidates.length - results.length + after);
      const one = await measure(candidate, measureMs);
      done += 1;
      results.push(one);
      keep(one);
    }
    return results;
  };
  const finals = (FINALISTS + 1) * FINAL_ROUNDS;
  const splits = await round(first, first.length + finals);
  const waits = await round(withTimeouts(survivors(splits, goal, FINALISTS)), finals);
  const last = survivors(waits, goal, FINALISTS).slice(0, FINALISTS);
  const baseline = defaultCandidate(space);
  const contenders = [...last.filter((one) => !same(one, baseline)), baseline];
  const rounds = contenders.map((): Measured[] => []);
  for (let n = 0; n < FINAL_ROUNDS; n++) {
    for (const [i, candidate] of contenders.entries()) {
      step(done, done + (FINAL_ROUNDS - n) * contenders.length - i);
      rounds[i].push(await measure(candidate, measureMs * 3));
      done += 1;
    }
  }
  const results = rounds.map(middle);
  results.forEach(keep);
  return { baseline: results.at(-1)!, finalists: results, all };
}

/** The round with the middle throughput; failures of all rounds count. */
function middle(rounds: readonly Measured[]): Measured {
  const sorted = rounds.toSorted((a, b) => a.requestsPerS - b.requestsPerS);
  const failed = rounds.reduce((sum, one) => sum + one.failed, 0);
  return { ...sorted[sorted.length >> 1], failed };
}
