/** Where the simulated machine's own words lie; see World. */

import { THREADS } from "./plan.ts";

/** One line per thread. The baton comes first, apart from what is cleared for each seed. */
export const Thread = {
  baton: 0,
  status: 1,
  /** The word that it waits for, 0: none. */
  key: 2,
  /** The word of its pending waitAsync, 0: none; and whether that has fired. */
  asyncKey: 3,
  asyncFired: 4,
  mail: 5,
  woken: 6,
  words: 16,
} as const;

export const Word = {
  seed: 0,
  over: 1,
  steps: 2,
  random: 3,
  /** Threads that still have a part to play. */
  live: 4,
  /** Whether faults may happen now. */
  faulty: 5,
  tracing: 6,
  traced: 7,
  /** Deaths that may still happen. */
  instanceDeaths: 8,
  callerDeaths: 9,
  seedsDone: 10,
  seedLast: 11,
  seedStride: 12,
  /** What all accesses of all seeds came to: equal for equal runs. */
  digest: 13,
  /** When something was last written. */
  progressMs: 14,
  /** The thread that rarely gets its turn, -1: none. */
  slow: 15,
  /** The owner is to close the pipe now. */
  closing: 16,
  /** Calls that may still hang. */
  hangs: 17,
  /** Float64: now, and when each thread waits no longer. */
  clock: 18,
  threads: 64,
} as const;

export const WORLD_WORDS: number = Word.threads + THREADS * Thread.words;
export const TRACE_LINES = 4096;
export const TEXT_BYTES = 320;
export const TEXT_AT: number = WORLD_WORDS * 4;
export const TRACE_AT: number = TEXT_AT + TEXT_BYTES;
export const WORLD_BYTES: number = TRACE_AT + TRACE_LINES * TEXT_BYTES;
