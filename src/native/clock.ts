/**
 * One clock for all threads. In Bun and Deno `performance.now()` starts anew in each Worker, so each thread
 * measures once how far its own is from the C library's monotonic clock; after that a reading costs no
 * foreign call.
 */

import type { Native } from "./library.ts";

/** The first foreign calls of a thread are slow, so the offset is taken from the fastest of a few. */
const READINGS = 16;

/** Milliseconds of the common clock. */
export function threadClock(native: Pick<Native, "clockMs">): () => number {
  let offsetMs = 0;
  let fastestMs = Infinity;
  for (let reading = 0; reading < READINGS; reading++) {
    const beforeMs = performance.now();
    const commonMs = native.clockMs();
    const afterMs = performance.now();
    if (afterMs - beforeMs >= fastestMs) continue;
    fastestMs = afterMs - beforeMs;
    offsetMs = commonMs - (beforeMs + afterMs) / 2;
  }
  return () => performance.now() + offsetMs;
}
