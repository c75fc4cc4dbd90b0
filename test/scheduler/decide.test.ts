/** When a batch goes, and which: a table, and a slower way to the same answer. */

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { REASONS, Reason, STARVATION_MS, decide } from "../../src/scheduler/decide.ts";
import type { Decision, Limits, Waiting } from "../../src/scheduler/decide.ts";

type Row = [rows: number, oldestMs: number, priority?: number];

interface Situation {
  waiting: Row[];
  running?: number;
  draining?: boolean;
  timeoutMs?: number;
  expected: Decision;
}

const NOW_MS = 1000;
const MAX_ROWS = 4;

const send = (group: number, reason: keyof typeof Reason): Decision => ({
  go: true,
  group,
  reason: Reason[reason],
});
const wait = (waitMs: number): Decision => ({ go: false, waitMs });

const table: Record<string, Situation> = {
  "nothing waits": { waiting: [], expected: wait(Infinity) },
  "an empty list waits": { waiting: [[0, 0]], expected: wait(Infinity) },
  "nothing waits while instances run": { waiting: [[0, 0]], running: 2, expected: wait(Infinity) },
  "a higher priority goes first": {
    waiting: [
      [4, 900, 1],
      [4, 950, 0],
      [4, 10, 2],
    ],
    expected: send(1, "full"),
  },
  "of one priority the oldest goes first": {
    waiting: [
      [4, 950, 0],
      [4, 900, 0],
    ],
    expected: send(1, "full"),
  },
  "what has waited for a second goes first": {
    waiting: [
      [4, 990, 0],
      [1, NOW_MS - STARVATION_MS, 2],
    ],
    expected: send(1, "idle"),
  },
  "a priority makes nothing go that would not go": {
    waiting: [[3, 999, 0]],
    running: 1,
    expected: wait(4),
  },
  "nothing waits while draining": { waiting: [[0, 0]], draining: true, expected: wait(Infinity) },
  "one row, nobody runs": { waiting: [[1, 1000]], expected: send(0, "idle") },
  "one row short of full, nobody runs": { waiting: [[3, 1000]], expected: send(0, "idle") },
  "full, nobody runs": { waiting: [[4, 1000]], expected: send(0, "full") },
  "full while others run": { waiting: [[4, 1000]], running: 1, expected: send(0, "full") },
  "more than full": { waiting: [[99, 1000]], running: 1, expected: send(0, "full") },
  "full and overdue": { waiting: [[4, 0]], running: 1, expected: send(0, "full") },
  "full while draining": { waiting: [[4, 1000]], draining: true, expected: send(0, "full") },
  "not full while others run": { waiting: [[3, 1000]], running: 1, expected: wait(5) },
  "part of the time is over": { waiting: [[3, 997]], running: 1, expected: wait(2) },
  "a moment before the timeout": { waiting: [[1, 995.5]], running: 1, expected: wait(0.5) },
  "exactly at the timeout": { waiting: [[1, 995]], running: 1, expected: send(0, "timeout") },
  "after the timeout": { waiting: [[1, 0]], running: 1, expected: send(0, "timeout") },
  "overdue, but nobody runs": { waiting: [[1, 0]], expected: send(0, "idle") },
  "a row from the future": { waiting: [[1, 1001]], running: 1, expected: wait(6) },
  "timeout 0 takes what is there": {
    waiting: [[1, 1000]],
    running: 1,
    timeoutMs: 0,
    expected: send(0, "timeout"),
  },
  "an endless timeout": { waiting: [[3, 0]], running: 1, timeoutMs: Infinity, expected: wait(Infinity) },
  "draining while others run": {
    waiting: [[1, 1000]],
    running: 1,
    draining: true,
    expected: send(0, "drain"),
  },
  "draining, nobody runs": { waiting: [[1, 1000]], draining: true, expected: send(0, "drain") },
  "draining and overdue": { waiting: [[1, 0]], running: 1, draining: true, expected: send(0, "drain") },
  "the older of two that may go": {
    waiting: [
      [1, 999],
      [1, 998],
    ],
    expected: send(1, "idle"),
  },
  "the older, though a younger one is full": {
    waiting: [
      [4, 999],
      [1, 900],
    ],
    running: 1,
    expected: send(1, "timeout"),
  },
  "the full one, though an older one may not go yet": {
    waiting: [
      [1, 996],
      [4, 999],
    ],
    running: 1,
    expected: send(1, "full"),
  },
  "the first of two of one age": {
    waiting: [
      [1, 999],
      [2, 999],
    ],
    expected: send(0, "idle"),
  },
  "the nearest deadline of several": {
    waiting: [
      [1, 999],
      [1, 997],
      [0, 0],
      [2, 998],
    ],
    running: 1,
    expected: wait(2),
  },
};

function waitingOf(rows: readonly Row[]): Waiting[] {
  return rows.map(([count, oldestMs, priority = 1], group) => ({ group, rows: count, oldestMs, priority }));
}

function limitsOf(timeoutMs = 5): Limits {
  return { maxRows: MAX_ROWS, batchingTimeoutMs: timeoutMs };
}

describe("decide", () => {
  it.each(Object.entries(table))(
    "%s",
    (_, { waiting, running = 0, draining = false, timeoutMs, expected }) => {
      expect(decide(waitingOf(waiting), limitsOf(timeoutMs), NOW_MS, running, draining)).toEqual(expected);
    },
  );

  it("names its reasons in the order of their numbers", () => {
    expect(REASONS.map((name) => Reason[name])).toEqual([0, 1, 2, 3]);
  });
});

/** The rules one by one, as the documentation has them. */
function oracle(
  waiting: Waiting[],
  limits: Limits,
  nowMs: number,
  running: number,
  draining: boolean,
): Decision {
  const present = waiting.filter(({ rows }) => rows > 0);
  const reasonOf = ({ rows, oldestMs }: Waiting): number | undefined => {
    if (rows >= limits.maxRows) return Reason.full;
    if (draining) return Reason.drain;
    if (running === 0) return Reason.idle;
    return oldestMs + limits.batchingTimeoutMs - nowMs <= 0 ? Reason.timeout : undefined;
  };
  const ready = present.filter((one) => reasonOf(one) !== undefined);
  if (ready.length > 0) {
    const rank = ({ oldestMs, priority }: Waiting): number =>
      nowMs - oldestMs >= STARVATION_MS ? -1 : priority;
    const [first] = ready.toSorted(
      (a, b) => rank(a) - rank(b) || a.oldestMs - b.oldestMs || a.group - b.group,
    );
    return { go: true, group: first.group, reason: reasonOf(first)! };
  }
  const left = present.map(({ oldestMs }) => oldestMs + limits.batchingTimeoutMs - nowMs);
  return { go: false, waitMs: Math.min(Infinity, ...left) };
}

describe("decide, compared with the rules one by one", () => {
  const moment = fc.integer({ min: 0, max: 40 }).map((tick) => tick / 4);
  const situation = fc.record({
    rows: fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), moment), { maxLength: 6 }),
    maxRows: fc.integer({ min: 1, max: 5 }),
    timeoutMs: fc.constantFrom(0, 0.25, 2, 5, Infinity),
    nowMs: moment,
    running: fc.integer({ min: 0, max: 2 }),
    draining: fc.boolean(),
  });

  it("gives the same answer and changes nothing", () => {
    fc.assert(
      fc.property(situation, ({ rows, maxRows, timeoutMs, nowMs, running, draining }) => {
        const waiting = waitingOf(rows);
        const limits = { maxRows, batchingTimeoutMs: timeoutMs };
        const before = structuredClone(waiting);
        const decision = decide(waiting, limits, nowMs, running, draining);
        expect(decision).toEqual(oracle(waiting, limits, nowMs, running, draining));
        expect(waiting).toEqual(before);
      }),
      { numRuns: 500 },
    );
  });

  it("never waits where something may go, and never longer than until the next deadline", () => {
    fc.assert(
      fc.property(situation, ({ rows, maxRows, timeoutMs, nowMs, draining }) => {
        const waiting = waitingOf(rows);
        const limits = { maxRows, batchingTimeoutMs: timeoutMs };
        const decision = decide(waiting, limits, nowMs, 1, draining);
        if (decision.go || decision.waitMs === Infinity) return;
        expect(decision.waitMs).toBeGreaterThan(0);
        const later = decide(waiting, limits, nowMs + decision.waitMs, 1, draining);
        expect(later.go).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
