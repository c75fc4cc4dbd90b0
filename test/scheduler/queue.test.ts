/** The lists of waiting rows: in order, by shape, without what was given up, and made anew after a death. */

import { beforeEach, describe, expect, it } from "vitest";
import type { Channel } from "../../src/memory/channel.ts";
import type { MemoryShape } from "../../src/memory/layout.ts";
import type { Pool } from "../../src/memory/pool.ts";
import { Outcome, Phase, generationOf, outcomeOf, ownerOf, phaseOf } from "../../src/memory/slot.ts";
import { Queue } from "../../src/scheduler/queue.ts";
import { STARVATION_MS } from "../../src/scheduler/decide.ts";
import { makeBatch, makeMemory, publish, rowsOf } from "../support/memory.ts";

const OWNER = 1;

let pool: Pool;
let channels: Channel[];
let queue: Queue;

function make(shape: Partial<MemoryShape> = {}): void {
  ({ pool, channels } = makeMemory(shape));
  queue = new Queue(pool, channels);
  queue.rebuild();
}

function drainAll(): boolean[] {
  const blocked = queue.drain(channels);
  return channels.map((channel) => !blocked.includes(channel));
}

function take(group = 0, maxRows = 4): string[] {
  const batch = makeBatch(maxRows);
  queue.take(group, maxRows, OWNER, 0, batch);
  return rowsOf(batch);
}

/** Answers a taken row and gives its slot back. */
function finish(channel: Channel, slot: number): void {
  expect(channel.complete(slot, OWNER, generationOf(channel.wordOf(slot)), Outcome.ok)).toBe(true);
  channel.recycle(slot, channel.wordOf(slot));
}

function rowCounts(): number[] {
  return queue.waiting(0).map(({ rows }) => rows);
}

describe("rows of one shape", () => {
  beforeEach(() => make());

  it("of rings that are emptied together go oldest first", () => {
    publish(channels[0], 0, 2);
    publish(channels[0], 1, 5);
    publish(channels[1], 0, 1);
    publish(channels[1], 1, 3);
    drainAll();
    expect(queue.waiting(0)[0].oldestMs).toBe(1);
    expect(take()).toEqual(["1:0", "0:0", "1:1", "0:1"]);
  });

  it("do not wait behind one that was given up, whose slot is younger by now", () => {
    publish(channels[0], 0, 1);
    publish(channels[0], 1, 2);
    publish(channels[1], 0, 3);
    expect(channels[0].cancel(0)).toBe(true);
    publish(channels[0], 0, 4);
    drainAll();
    expect(take()).toEqual(["0:1", "1:0", "0:0"]);
  });

  it("go first in, first out over all channels", () => {
    publish(channels[0], 5, 1);
    publish(channels[0], 2, 2);
    drainAll();
    publish(channels[1], 5, 3);
    publish(channels[0], 7, 4);
    queue.drain([channels[1]]);
    queue.drain([channels[0]]);
    expect(rowCounts()).toEqual([4]);
    expect(take(0, 3)).toEqual(["0:5", "0:2", "1:5"]);
    expect(take(0, 3)).toEqual(["0:7"]);
    expect(take(0, 3)).toEqual([]);
    expect(queue.isEmpty()).toBe(true);
  });

  it("belong to whoever took them", () => {
    publish(channels[1], 3);
    drainAll();
    const batch = makeBatch(1);
    queue.take(0, 1, 6, 0, batch);
    const word = channels[1].wordOf(3);
    expect([phaseOf(word), ownerOf(word), generationOf(word)]).toEqual([
      Phase.taken,
      6,
      batch.generations[0],
    ]);
  });

  it("tell when the oldest came", () => {
    publish(channels[0], 0, 20.5);
    publish(channels[0], 1, 30);
    drainAll();
    expect(queue.waiting(0)).toEqual([{ group: 0, rows: 2, oldestMs: 20.5, priority: 1 }]);
    take(0, 1);
    expect(queue.waiting(0)).toEqual([{ group: 0, rows: 1, oldestMs: 30, priority: 1 }]);
  });
});

describe("rows that were given up", () => {
  beforeEach(() => make());

  it.each([
    ["at the front", [0], ["0:1", "0:2"]],
    ["in the middle", [1], ["0:0", "0:2"]],
    ["at the end", [2], ["0:0", "0:1"]],
    ["all over", [0, 1, 2], []],
  ])("fall away %s", (_, cancelled, expected) => {
    for (const slot of [0, 1, 2]) publish(channels[0], slot, slot);
    drainAll();
    for (const slot of cancelled) channels[0].cancel(slot);
    expect(take()).toEqual(expected);
    expect(queue.isEmpty()).toBe(true);
  });

  it("are dropped from the front by a look, so that they never are the oldest", () => {
    for (const slot of [0, 1, 2]) publish(channels[0], slot, slot);
    drainAll();
    channels[0].cancel(0);
    channels[0].cancel(1);
    expect(queue.waiting(0)).toEqual([{ group: 0, rows: 1, oldestMs: 2, priority: 1 }]);
    channels[0].cancel(2);
    expect(rowCounts()).toEqual([0]);
    expect(queue.isEmpty()).toBe(true);
  });

  it("are not linked when the leader had not seen them yet", () => {
    publish(channels[0], 0);
    channels[0].cancel(0);
    drainAll();
    expect(queue.isEmpty()).toBe(true);
  });

  it("do not fill a batch", () => {
    for (const slot of [0, 1, 2, 3]) publish(channels[0], slot, slot);
    drainAll();
    channels[0].cancel(1);
    expect(take(0, 3)).toEqual(["0:0", "0:2", "0:3"]);
  });
});

describe("a slot that comes back while its old entry is linked", () => {
  beforeEach(() => make());

  it("stands where its new row came in", () => {
    for (const slot of [0, 1, 2]) publish(channels[0], slot, slot);
    drainAll();
    channels[0].cancel(0);
    publish(channels[0], 0, 9);
    drainAll();
    expect(rowCounts()).toEqual([3]);
    expect(take()).toEqual(["0:1", "0:2", "0:0"]);
  });

  it("counts once, however often it comes back", () => {
    publish(channels[0], 1, 0);
    drainAll();
    for (let use = 0; use < 5; use++) {
      channels[0].cancel(1);
      publish(channels[0], 1, use);
    }
    drainAll();
    expect(rowCounts()).toEqual([1]);
    expect(take()).toEqual(["0:1"]);
    finish(channels[0], 1);
    drainAll();
    expect(queue.isEmpty()).toBe(true);
  });

  it("is not taken for its old row: the entry in the ring has another generation", () => {
    publish(channels[0], 0);
    channels[0].cancel(0);
    publish(channels[0], 0);
    channels[0].cancel(0);
    drainAll();
    expect(take()).toEqual([]);
  });
});

describe("rows of several shapes", () => {
  beforeEach(() => make({ inputDims: 2, groups: 3, slots: 16 }));

  it("wait side by side and never share a batch", () => {
    publish(channels[0], 0, 1, [8, 8]);
    publish(channels[0], 1, 2, [8, 9]);
    publish(channels[1], 0, 3, [8, 8]);
    publish(channels[1], 1, 4, [9, 8]);
    drainAll();
    expect(rowCounts()).toEqual([2, 1, 1]);
    expect([take(0), take(1), take(2)]).toEqual([["0:0", "1:0"], ["0:1"], ["1:1"]]);
  });

  it("leave an empty list to another shape", () => {
    publish(channels[0], 0, 1, [1, 1]);
    drainAll();
    take(0);
    publish(channels[0], 1, 2, [2, 2]);
    publish(channels[0], 2, 3, [1, 1]);
    drainAll();
    expect([take(0), take(1)]).toEqual([["0:1"], ["0:2"]]);
  });

  it("stay in the ring while every list is taken, in order, and come back", () => {
    for (const [slot, dim] of [1, 2, 3, 4, 1, 4].entries()) publish(channels[0], slot, slot, [dim, 0]);
    publish(channels[1], 0, 9, [1, 0]);
    expect(drainAll()).toEqual([false, true]);
    expect(rowCounts()).toEqual([2, 1, 1]);
    expect(take(1)).toEqual(["0:1"]);
    expect(drainAll()).toEqual([true, true]);
    expect(take(1)).toEqual(["0:3", "0:5"]);
    expect(take(0)).toEqual(["0:0", "1:0", "0:4"]);
  });
});

describe("rows of several priorities", () => {
  beforeEach(() => make({ slots: 16 }));

  const NOW_MS = 10;

  it("go highest first, and each in its order", () => {
    publish(channels[0], 0, 1, [], { priority: 2 });
    publish(channels[0], 1, 2, [], { priority: 1 });
    publish(channels[0], 2, 3, [], { priority: 0 });
    publish(channels[0], 3, 4, [], { priority: 0 });
    publish(channels[1], 4, 5, [], { priority: 1 });
    drainAll();
    expect(queue.waiting(NOW_MS)).toEqual([{ group: 0, rows: 5, oldestMs: 1, priority: 0 }]);
    expect(take(0, 8)).toEqual(["0:2", "0:3", "0:1", "1:4", "0:0"]);
    expect(queue.isEmpty()).toBe(true);
  });

  it("go by age alone when they have waited for too long", () => {
    publish(channels[0], 0, 5, [], { priority: 2 });
    publish(channels[0], 1, 6, [], { priority: 0 });
    publish(channels[0], 2, 4, [], { priority: 1 });
    drainAll();
    const batch = makeBatch(8);
    queue.take(0, 8, OWNER, 5 + STARVATION_MS, batch);
    expect(rowsOf(batch)).toEqual(["0:2", "0:0", "0:1"]);
  });

  it("have lists of their own again after a leader's death", () => {
    publish(channels[0], 0, 1, [], { priority: 2 });
    publish(channels[0], 1, 2, [], { priority: 0 });
    drainAll();
    queue = new Queue(pool, channels);
    queue.rebuild();
    expect(take(0, 8)).toEqual(["0:1", "0:0"]);
  });
});

describe("rows whose deadline passed", () => {
  beforeEach(() => make({ slots: 16 }));

  it("are answered and not taken", () => {
    publish(channels[0], 0, 1, [], { deadlineMs: 50 });
    publish(channels[0], 1, 2);
    publish(channels[0], 2, 3, [], { deadlineMs: 51 });
    drainAll();
    const batch = makeBatch(8);
    queue.take(0, 8, OWNER, 50, batch);
    expect(rowsOf(batch)).toEqual(["0:1", "0:2"]);
    const word = channels[0].wordOf(0);
    expect([phaseOf(word), outcomeOf(word)]).toEqual([Phase.done, Outcome.timedOut]);
    expect(channels[0].takeDone(0)).toBe(1);
  });

  it("do not count as the oldest", () => {
    publish(channels[0], 0, 1, [], { deadlineMs: 50 });
    publish(channels[0], 1, 2);
    drainAll();
    expect(queue.waiting(50)).toEqual([{ group: 0, rows: 1, oldestMs: 2, priority: 1 }]);
    expect(channels[0].takeDone(0)).toBe(1);
  });

  it("are the caller's if it gave them up first", () => {
    publish(channels[0], 0, 1, [], { deadlineMs: 50 });
    drainAll();
    expect(channels[0].cancel(0)).toBe(true);
    expect(take(0, 8)).toEqual([]);
    expect(channels[0].takeDone(0)).toBe(0);
  });
});
