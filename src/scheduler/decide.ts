/**
 * When does a batch go? A pure function: no clock, no atomics, no memory; it gets counts and a clock reading
 * and answers.
 */

/** Why a batch is sent. The numbers index the counters. */
export const Reason = { full: 0, idle: 1, timeout: 2, drain: 3 } as const;
export const REASONS = ["full", "idle", "timeout", "drain"] as const;

/** Rows of one shape that wait together. */
export interface Waiting {
  /** Which list it is. */
  group: number;
  rows: number;
  /** When its oldest row entered, in ms of the common clock. */
  oldestMs: number;
  /** The highest priority of its rows: 0 goes first. */
  priority: number;
}

/** A row that has waited for so many ms goes before all younger ones, whatever their priority. */
export const STARVATION_MS = 1000;

export interface Limits {
  maxRows: number;
  batchingTimeoutMs: number;
}

/** Either a group to send now and why, or how long to wait at most (Infinity: until something happens). */
export type Decision = { go: true; group: number; reason: number } | { go: false; waitMs: number };

/**
 * A group goes when it is full, when no instance runs, when its oldest row has waited for the batching
 * timeout, or when the pipe drains. Of several that may go, the one of the highest priority goes first, of
 * those the one with the oldest row; but one that has waited for STARVATION_MS goes before them, so that
 * nothing waits for ever.
 */
export function decide(
  waiting: readonly Waiting[],
  limits: Limits,
  nowMs: number,
  running: number,
  draining: boolean,
): Decision {
  let best = -1;
  let bestReason = 0;
  let bestOldest = Infinity;
  let bestRank = Infinity;
  let waitMs = Infinity;
  for (const { group, rows, oldestMs, priority } of waiting) {
    if (rows === 0) continue;
    const leftMs = oldestMs + limits.batchingTimeoutMs - nowMs;
    let reason: number;
    if (rows >= limits.maxRows) reason = Reason.full;
    else if (draining) reason = Reason.drain;
    else if (running === 0) reason = Reason.idle;
    else if (leftMs <= 0) reason = Reason.timeout;
    else {
      waitMs = Math.min(waitMs, leftMs);
      continue;
    }
    const rank = nowMs - oldestMs >= STARVATION_MS ? -1 : priority;
    if (rank < bestRank || (rank === bestRank && oldestMs < bestOldest)) {
      bestRank = rank;
      best = group;
      bestReason = reason;
      bestOldest = oldestMs;
    }
  }
  return best === -1 ? { go: false, waitMs } : { go: true, group: best, reason: bestReason };
}
