/** What a leader makes of the slot tables after the one before it died. */

import { beforeEach, describe, expect, it } from "vitest";
import type { Channel } from "../../src/memory/channel.ts";
import type { MemoryShape } from "../../src/memory/layout.ts";
import type { Pool } from "../../src/memory/pool.ts";
import { Queue } from "../../src/scheduler/queue.ts";
import { withAtomics } from "../support/atomics.ts";
import { makeBatch, makeMemory, publish, rowsOf } from "../support/memory.ts";

const OWNER = 0;

let pool: Pool;
let channels: Channel[];
let queue: Queue;

function make(shape: Partial<MemoryShape> = {}): void {
  ({ pool, channels } = makeMemory(shape));
  queue = new Queue(pool, channels);
  queue.rebuild();
}

/** The next leader is on another thread, with a Queue of its own over the same memory. */
function nextLeader(): void {
  queue = new Queue(pool, channels);
  queue.rebuild();
}

function drainAll(): void {
  queue.drain(channels);
}

function take(group = 0, maxRows = 16): string[] {
  const batch = makeBatch(maxRows);
  queue.take(group, maxRows, OWNER, 0, batch);
  return rowsOf(batch);
}

describe("a new leader", () => {
  beforeEach(() => make());

  it("finds all rows, linked or still in a ring, oldest first", () => {
    publish(channels[0], 3, 1);
    publish(channels[1], 0, 2);
    drainAll();
    publish(channels[0], 0, 4);
    publish(channels[1], 7, 3);
    nextLeader();
    expect(take()).toEqual(["0:3", "1:0", "1:7", "0:0"]);
  });

  it("does not see rows twice that are in a ring and in the table", () => {
    publish(channels[0], 3, 1);
    nextLeader();
    drainAll();
    publish(channels[0], 4, 2);
    drainAll();
    expect(take()).toEqual(["0:3", "0:4"]);
    expect(queue.isEmpty()).toBe(true);
  });

  it("keeps a caller's rows in order that are published at any moment of its look", () => {
    const faults: unknown[] = [];
    let accesses = 1;
    for (let at = 0; at <= accesses; at++) {
      make();
      publish(channels[0], 2, 1);
      const publishMore = (): void => {
        publish(channels[0], 0, 2);
        publish(channels[0], 5, 3);
      };
      // The later of the two may be ahead of the look, and the earlier one behind it.
      accesses = withAtomics({ before: (access) => access === at && publishMore() }, nextLeader);
      if (at === accesses) publishMore();
      drainAll();
      const rows = take();
      if (rows.join() !== "0:2,0:0,0:5") faults.push({ at, rows });
    }
    expect(accesses).toBeGreaterThan(channels[0].shape.slots);
    expect(faults).toEqual([]);
  });

  it("takes no row that somebody has taken, and none that was given up", () => {
    for (const slot of [0, 1, 2]) publish(channels[0], slot, slot);
    drainAll();
    expect(take(0, 1)).toEqual(["0:0"]);
    channels[0].cancel(2);
    nextLeader();
    expect(take()).toEqual(["0:1"]);
  });

  it("is not led astray by links that its predecessor left half-made", () => {
    for (const slot of [0, 1, 2, 3]) publish(channels[0], slot, slot);
    drainAll();
    const { control, layout } = channels[0];
    for (const field of ["next", "previous", "list", "linked"] as const) {
      control.fill(0x0bad_0bad, layout[field], layout[field] + channels[0].shape.slots);
    }
    pool.words.fill(0x0bad_0bad, pool.layout.groups, pool.layout.groups + pool.layout.groupWords);
    nextLeader();
    expect(take()).toEqual(["0:0", "0:1", "0:2", "0:3"]);
    publish(channels[0], 5, 9);
    drainAll();
    expect(take()).toEqual(["0:5"]);
  });
});

describe("a new leader with more shapes than lists", () => {
  beforeEach(() => make({ inputDims: 1, groups: 2, slots: 16 }));

  it("leaves the rest in the rings, where it finds them again", () => {
    for (const [slot, dim] of [1, 2, 3, 4].entries()) publish(channels[0], slot, slot, [dim]);
    nextLeader();
    expect([take(0), take(1)]).toEqual([["0:0"], ["0:1"]]);
    drainAll();
    expect([take(0), take(1)]).toEqual([["0:2"], ["0:3"]]);
    expect(queue.isEmpty()).toBe(true);
  });

  it("keeps them in order", () => {
    publish(channels[0], 0, 0, [1]);
    publish(channels[0], 1, 1, [2]);
    for (const slot of [2, 3, 4, 5]) publish(channels[0], slot, slot, [3]);
    nextLeader();
    take(0);
    drainAll();
    expect(take(0)).toEqual(["0:2", "0:3", "0:4", "0:5"]);
  });

  it("does not mix them up with what is published next", () => {
    for (const [slot, dim] of [1, 2, 3].entries()) publish(channels[0], slot, slot, [dim]);
    nextLeader();
    publish(channels[0], 3, 3, [3]);
    take(0);
    drainAll();
    expect(take(0)).toEqual(["0:2", "0:3"]);
  });
});
