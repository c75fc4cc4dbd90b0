/** When a caller that serves many sockets rings, and when it wakes an instance before. */

import { describe, expect, it } from "vitest";
import { Rounds } from "../src/pipe/rounds.ts";

/** Brings rows of one request each, `everyMs` apart, and rings; the rows before which it was to wake one. */
function round(rounds: Rounds, rows: number, everyMs: number, fromMs: number): number[] {
  const wakes: number[] = [];
  for (let row = 0; row < rows; row++) {
    if (rounds.isWakeDue(row, fromMs + row * everyMs)) wakes.push(row);
  }
  rounds.rung(rows, fromMs + rows * everyMs);
  return wakes;
}

describe("a round", () => {
  it("is over when the event loop has brought nothing new", () => {
    const rounds = new Rounds();
    expect([3, 7, 7].map((rows) => rounds.isOver(rows))).toEqual([false, false, true]);
    expect([2, 2].map((rows) => rounds.isOver(rows))).toEqual([false, true]);
  });

  it("wakes an instance once, as long before its end as waking takes, by what the last one took", () => {
    const rounds = new Rounds();
    expect(round(rounds, 10, 0.01, 1)).toEqual([]);
    expect(round(rounds, 10, 0.01, 2)).toEqual([5]);
    // Only half as many came: nobody is woken for the others.
    expect(round(rounds, 5, 0.01, 3)).toEqual([]);
    expect(round(rounds, 5, 0.01, 4)).toEqual([0]);
  });

  it("wakes before the last row where rows come slowly, and at the first where all come at once", () => {
    const slow = new Rounds();
    round(slow, 3, 1, 1);
    expect(round(slow, 3, 1, 10)).toEqual([2]);
    const fast = new Rounds();
    round(fast, 100, 0, 1);
    expect(round(fast, 100, 0, 2)).toEqual([0]);
  });

  it("wakes by rows, of which a request may have several", () => {
    const rounds = new Rounds();
    round(rounds, 10, 0.01, 1);
    expect([0, 4, 8].map((rows) => rounds.isWakeDue(rows, 2))).toEqual([false, false, true]);
    expect(rounds.isWakeDue(9, 2)).toBe(false);
  });
});
