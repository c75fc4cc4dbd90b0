/** When polling pays: while waits have lately been short. */

import { describe, expect, it } from "vitest";
import { Spin } from "../../src/memory/spin.ts";

const LIMIT_US = 40;
const LIMIT_MS = 0.04;

function learn(spin: Spin, waitedMs: number, times: number): void {
  for (let n = 0; n < times; n++) spin.learn(waitedMs);
}

/** How many waits of this length it takes until the budget is what is expected. */
function waitsUntil(spin: Spin, waitedMs: number, budgetMs: number): number {
  for (let n = 1; n <= 100; n++) {
    spin.learn(waitedMs);
    if (spin.budgetMs === budgetMs) return n;
  }
  throw new Error(`The budget stays ${spin.budgetMs} ms`);
}

describe("Spin", () => {
  it("begins by polling, and goes on while waits are short", () => {
    const spin = new Spin(LIMIT_US);
    expect(spin.budgetMs).toBe(LIMIT_MS);
    learn(spin, LIMIT_MS / 2, 50);
    expect(spin.budgetMs).toBe(LIMIT_MS);
  });

  it("stops after a few long waits and begins again after a few short ones", () => {
    const spin = new Spin(LIMIT_US);
    expect(waitsUntil(spin, 5, 0)).toBeLessThanOrEqual(4);
    learn(spin, 60_000, 1000);
    expect(waitsUntil(spin, 0.001, LIMIT_MS)).toBeLessThanOrEqual(12);
  });

  it("stops while events come just too seldom for it", () => {
    const spin = new Spin(LIMIT_US);
    learn(spin, LIMIT_MS * 3, 20);
    expect(spin.budgetMs).toBe(0);
  });

  it("never polls with a limit of 0", () => {
    const spin = new Spin(0);
    expect(spin.budgetMs).toBe(0);
    learn(spin, 0, 10);
    expect(spin.budgetMs).toBe(0);
  });
});
