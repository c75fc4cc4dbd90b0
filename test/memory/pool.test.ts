/** The pool block: who is woken when, and what counts as running. */

import { beforeEach, describe, expect, it } from "vitest";
import { InstanceWord } from "../../src/memory/layout.ts";
import { Gate, Pool, State } from "../../src/memory/pool.ts";
import { shapeOf } from "../support/memory.ts";

const INSTANCES = 3;

let pool: Pool;

beforeEach(() => {
  pool = new Pool(shapeOf({ instances: INSTANCES, channels: 40 }));
  for (let i = 0; i < INSTANCES; i++) pool.setState(i, State.idle);
});

/** How often each instance was woken. */
function wakes(): number[] {
  return Array.from({ length: INSTANCES }, (_, i) => pool.wakeSeen(i));
}

describe("a bell", () => {
  it("says which channel has something, and wakes whoever leads", () => {
    pool.setState(0, State.parked);
    expect(pool.tryLead(2)).toBe(true);
    pool.ring(33);
    expect([pool.takePending(0), pool.takePending(1)]).toEqual([0, 1 << 1]);
    expect(wakes()).toEqual([0, 0, 1]);
  });

  it("wakes one parked instance where nobody leads", () => {
    pool.setState(1, State.parked);
    pool.setState(2, State.parked);
    pool.ring(0);
    expect(wakes()).toEqual([0, 1, 0]);
  });

  it("keeps its word where everybody runs: whoever leads next finds it", () => {
    for (let i = 0; i < INSTANCES; i++) pool.setState(i, State.running);
    pool.ring(31);
    expect(wakes()).toEqual([0, 0, 0]);
    expect(pool.hasPending()).toBe(true);
    expect(pool.takePending(0)).toBe(1 << 31);
    expect(pool.hasPending()).toBe(false);
  });
});

describe("an announcement", () => {
  it("wakes a leader that sleeps, and disturbs no other", () => {
    expect(pool.tryLead(2)).toBe(true);
    pool.setState(1, State.parked);
    pool.setState(2, State.leading);
    pool.announce();
    expect(wakes()).toEqual([0, 0, 0]);
    pool.setState(2, State.parked);
    pool.announce();
    expect(wakes()).toEqual([0, 0, 1]);
    expect(pool.hasPending()).toBe(false);
  });

  it("wakes one parked instance where nobody leads", () => {
    pool.setState(1, State.parked);
    pool.announce();
    expect(wakes()).toEqual([0, 1, 0]);
  });

  it("is taken once", () => {
    expect(pool.takeComing()).toBe(false);
    pool.announce();
    expect([pool.takeComing(), pool.takeComing()]).toEqual([true, false]);
  });
});

describe("a wake", () => {
  it("is not lost on an instance that is about to park", () => {
    const seen = pool.wakeSeen(1);
    pool.wake(1);
    pool.setState(1, State.parked);
    const startMs = performance.now();
    pool.sleep(1, seen, 5000);
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  it("goes to all, whatever they do", () => {
    pool.setState(0, State.dead);
    pool.setState(1, State.parked);
    pool.wakeAll();
    expect(wakes()).toEqual([1, 1, 1]);
  });

  it("counts on past 2^31 and 2^32", () => {
    const at = pool.layout.instances + InstanceWord.words + InstanceWord.wake;
    for (const start of [2 ** 31 - 1, -1]) {
      pool.words[at] = start;
      const seen = pool.wakeSeen(1);
      pool.wake(1);
      expect(pool.wakeSeen(1)).not.toBe(seen);
      expect(pool.wakeSeen(1)).toBe((start + 1) | 0);
    }
  });
});

describe("a sleep", () => {
  it("ends after its time", () => {
    const startMs = performance.now();
    pool.sleep(0, pool.wakeSeen(0), 20);
    expect(performance.now() - startMs).toBeGreaterThan(10);
  });
});

describe("the lead", () => {
  it("is one instance's at a time", () => {
    expect(pool.leader).toBe(-1);
    expect(pool.tryLead(2)).toBe(true);
    expect(pool.tryLead(0)).toBe(false);
    expect(pool.leader).toBe(2);
    pool.dropLead();
    expect(pool.tryLead(0)).toBe(true);
  });

  it("is taken from the dead, and the lists are made anew", () => {
    pool.tryLead(2);
    pool.freeLeadOf(2);
    expect(pool.leader).toBe(-1);
    expect(pool.takeRebuild()).toBe(true);
    expect(pool.takeRebuild()).toBe(false);
  });

  it("is not taken from the living when another dies", () => {
    pool.tryLead(2);
    pool.freeLeadOf(1);
    expect(pool.leader).toBe(2);
    expect(pool.takeRebuild()).toBe(false);
  });
});

describe("the pool", () => {
  it("counts as running who says so, and nobody else", () => {
    const states = [State.running, State.running, State.parked];
    for (const [i, state] of states.entries()) pool.setState(i, state);
    expect(pool.running()).toBe(2);
    pool.setState(0, State.dead);
    expect(pool.running()).toBe(1);
    for (const state of Object.values(State).filter((other) => other !== State.running)) {
      pool.setState(1, state);
      expect(pool.running()).toBe(0);
    }
  });

  it("is the same for everybody who has its buffer", () => {
    const other = new Pool(pool.shape, pool.buffer);
    other.setGate(Gate.draining);
    other.setState(1, State.leading);
    other.sums(1)[0] = 0.5;
    expect(pool.gate).toBe(Gate.draining);
    expect(pool.state(1)).toBe(State.leading);
    expect(pool.sums(1)[0]).toBe(0.5);
  });

  it("starts with a gate that lets nobody in", () => {
    expect(new Pool(shapeOf()).gate).toBe(Gate.starting);
    expect(Gate.starting).not.toBe(Gate.open);
  });
});
