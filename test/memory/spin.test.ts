/** When polling pays: while polls find something. */

import { describe, expect, it } from "vitest";
import { Spin } from "../../src/memory/spin.ts";

const LIMIT_US = 40;
const LIMIT_MS = 0.04;

/** Lets `waits` waits go by, each poll of which finds something or not; returns how many polled. */
function polls(spin: Spin, waits: number, found: boolean): number {
  let count = 0;
  for (let n = 0; n < waits; n++) {
    if (spin.begin() === 0) continue;
    count++;
    spin.end(found);
  }
  return count;
}

describe("Spin", () => {
  it("polls each time while that finds something", () => {
    const spin = new Spin(LIMIT_US);
    expect(spin.begin()).toBe(LIMIT_MS);
    spin.end(true);
    expect(polls(spin, 100, true)).toBe(100);
  });

  it("rests longer and longer while it finds nothing, and goes on trying", () => {
    const spin = new Spin(LIMIT_US);
    // Rests of 1, 2, 4, ... 256 waits between the first polls, and of 256 after that.
    expect(polls(spin, 520, false)).toBe(9);
    expect(polls(spin, 257 * 10, false)).toBe(10);
  });

  it("polls each time again as soon as one poll found something", () => {
    const spin = new Spin(LIMIT_US);
    polls(spin, 1000, false);
    expect(polls(spin, 256, true)).toBeGreaterThan(0);
    expect(polls(spin, 100, true)).toBe(100);
    expect(polls(spin, 4, false)).toBe(2);
  });

  it("never polls with a limit of 0", () => {
    expect(polls(new Spin(0), 100, true)).toBe(0);
  });
});
