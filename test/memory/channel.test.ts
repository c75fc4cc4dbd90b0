/** A channel's rows on their way: published, taken, done, free again. All on one thread. */

import { describe, expect, it } from "vitest";
import { atomics, useAtomics } from "../../src/memory/atomics.ts";
import type { AtomicWords } from "../../src/memory/atomics.ts";
import { Channel } from "../../src/memory/channel.ts";
import {
  GENERATION_MASK,
  Outcome,
  Phase,
  generationOf,
  outcomeOf,
  ownerOf,
  phaseOf,
} from "../../src/memory/slot.ts";
import { Queue } from "../../src/scheduler/queue.ts";
import { withAtomics } from "../support/atomics.ts";
import { makeBatch, makeChannel, makeMemory, publish, rowsOf } from "../support/memory.ts";

const OWNER = 1;

/** Queued -> Taken, as a leader does it; returns the generation. */
function take(channel: Channel, slot: number, owner = OWNER): number {
  const word = channel.wordOf(slot);
  expect(phaseOf(word)).toBe(Phase.queued);
  channel.control[channel.layout.word + slot] = Channel.taken(owner, generationOf(word));
  return generationOf(word);
}

describe("one row", () => {
  it("goes through its phases, its generation growing with each use", () => {
    const channel = makeChannel();
    for (let use = 1; use <= 3; use++) {
      channel.publish(3);
      expect(phaseOf(channel.wordOf(3))).toBe(Phase.queued);
      expect(generationOf(channel.wordOf(3))).toBe(use);
      const generation = take(channel, 3);
      expect(ownerOf(channel.wordOf(3))).toBe(OWNER);
      expect(channel.complete(3, OWNER, generation, 9)).toBe(true);
      expect(phaseOf(channel.wordOf(3))).toBe(Phase.done);
      expect(outcomeOf(channel.wordOf(3))).toBe(9);
      expect(ownerOf(channel.wordOf(3))).toBe(0);
      channel.recycle(3, channel.wordOf(3));
      expect(phaseOf(channel.wordOf(3))).toBe(Phase.free);
      expect(outcomeOf(channel.wordOf(3))).toBe(0);
    }
  });

  it("writes the slot and its generation into the ring", () => {
    const channel = makeChannel();
    channel.publish(5);
    channel.publish(2);
    const { ring, tail } = channel.layout;
    expect(channel.control[tail]).toBe(2);
    expect([...channel.control.subarray(ring, ring + 2)]).toEqual([5 | (1 << 16), 2 | (1 << 16)]);
  });

  it("wraps its generation at 16 bits", () => {
    const channel = makeChannel();
    channel.control[channel.layout.word] = GENERATION_MASK << 16;
    channel.publish(0);
    expect(generationOf(channel.wordOf(0))).toBe(0);
    const stale = Channel.taken(OWNER, GENERATION_MASK);
    expect(channel.wordOf(0)).not.toBe(stale);
    expect(channel.complete(0, OWNER, take(channel, 0), Outcome.ok)).toBe(true);
  });
});

describe("cancel", () => {
  it("gives up a queued row, which keeps its generation until it is used again", () => {
    const channel = makeChannel();
    channel.publish(0);
    expect(channel.cancel(0)).toBe(true);
    expect(phaseOf(channel.wordOf(0))).toBe(Phase.free);
    expect(generationOf(channel.wordOf(0))).toBe(1);
    expect(channel.cancel(0)).toBe(false);
    channel.publish(0);
    expect(generationOf(channel.wordOf(0))).toBe(2);
  });

  it("does not touch a row that is taken, done or free", () => {
    const channel = makeChannel();
    expect(channel.cancel(0)).toBe(false);
    channel.publish(0);
    const generation = take(channel, 0);
    expect(channel.cancel(0)).toBe(false);
    expect(channel.complete(0, OWNER, generation, Outcome.ok)).toBe(true);
    expect(channel.cancel(0)).toBe(false);
    expect(phaseOf(channel.wordOf(0))).toBe(Phase.done);
  });
});

describe("complete", () => {
  it("answers a row once", () => {
    const channel = makeChannel();
    channel.publish(0);
    const generation = take(channel, 0);
    expect(channel.complete(0, OWNER, generation, Outcome.ok)).toBe(true);
    expect(channel.complete(0, OWNER, generation, 9)).toBe(false);
    expect(outcomeOf(channel.wordOf(0))).toBe(Outcome.ok);
  });

  it.each([
    ["of another owner", OWNER + 1, 0],
    ["of an earlier use", OWNER, -1],
  ])("drops a completion %s", (_, owner, age) => {
    const channel = makeChannel();
    channel.publish(0);
    channel.cancel(0);
    channel.publish(0);
    const generation = take(channel, 0);
    const before = channel.wordOf(0);
    expect(channel.complete(0, owner, generation + age, Outcome.ok)).toBe(false);
    expect(channel.wordOf(0)).toBe(before);
  });

  it("drops a completion of a queued or free row", () => {
    const channel = makeChannel();
    expect(channel.complete(0, OWNER, 0, Outcome.ok)).toBe(false);
    channel.publish(0);
    expect(channel.complete(0, OWNER, 1, Outcome.ok)).toBe(false);
    expect(phaseOf(channel.wordOf(0))).toBe(Phase.queued);
  });
});

describe("done bits", () => {
  it("are taken a word at a time, each once", () => {
    const channel = makeChannel({ slots: 70 });
    channel.markDone(0, 1 | (1 << 31));
    channel.markDone(0, 1 << 5);
    channel.markDone(2, 1 << 5);
    expect(channel.takeDone(0)).toBe(1 | (1 << 5) | (1 << 31));
    expect(channel.takeDone(0)).toBe(0);
    expect(channel.takeDone(1)).toBe(0);
    expect(channel.takeDone(2)).toBe(1 << 5);
  });
});

describe("failTaken", () => {
  it("answers for the rows of one owner and rings once", () => {
    const channel = makeChannel({ slots: 70 });
    for (const slot of [0, 31, 32, 69, 4, 5]) channel.publish(slot);
    for (const slot of [0, 31, 32, 69]) take(channel, slot);
    take(channel, 4, OWNER + 1);
    const bell = channel.control[channel.layout.bell];
    expect(channel.failTaken(OWNER)).toBe(4);
    expect(channel.control[channel.layout.bell]).toBe(bell + 1);
    expect([0, 1, 2].map((word) => channel.takeDone(word))).toEqual([1 | (1 << 31), 1, 1 << 5]);
    for (const slot of [0, 31, 32, 69]) expect(outcomeOf(channel.wordOf(slot))).toBe(Outcome.instanceLost);
    expect(phaseOf(channel.wordOf(4))).toBe(Phase.taken);
    expect(phaseOf(channel.wordOf(5))).toBe(Phase.queued);
  });

  it("tells once more of rows that the dead may have answered without telling", () => {
    const channel = makeChannel();
    for (const slot of [1, 2]) channel.publish(slot);
    for (const slot of [1, 2]) channel.complete(slot, OWNER, take(channel, slot), Outcome.ok);
    // It told of one of them, and died when it had seen that the caller waits.
    channel.markDone(0, 1 << 1);
    let told = 0;
    const real = atomics;
    useAtomics(Object.assign(Object.create(real) as AtomicWords, { notify: () => ++told }));
    try {
      expect(channel.failTaken(OWNER)).toBe(0);
    } finally {
      useAtomics(real);
    }
    expect(channel.takeDone(0)).toBe((1 << 1) | (1 << 2));
    expect([1, 2].map((slot) => outcomeOf(channel.wordOf(slot)))).toEqual([Outcome.ok, Outcome.ok]);
    expect(told).toBe(1);
  });

  it("does not ring where there was nothing", () => {
    const channel = makeChannel();
    channel.publish(0);
    expect(channel.failTaken(OWNER)).toBe(0);
    expect(channel.control[channel.layout.bell]).toBe(0);
  });

  it("leaves a late completion of the dead instance without effect", () => {
    const channel = makeChannel();
    channel.publish(0);
    const generation = take(channel, 0);
    channel.failTaken(OWNER);
    expect(channel.complete(0, OWNER, generation, Outcome.ok)).toBe(false);
    channel.recycle(0, channel.wordOf(0));
    channel.publish(0);
    take(channel, 0);
    expect(channel.complete(0, OWNER, generation, Outcome.ok)).toBe(false);
    expect(phaseOf(channel.wordOf(0))).toBe(Phase.taken);
  });
});

describe("ring counters", () => {
  const starts = [0, 2 ** 31 - 3, 2 ** 31 - 1, -3, -1, -(2 ** 31)];

  it.each(starts)("count free-running from %d", (start) => {
    const { pool, channels } = makeMemory({ slots: 4, channels: 1 });
    const [channel] = channels;
    channel.control[channel.layout.tail] = start;
    channel.control[channel.layout.head] = start;
    const queue = new Queue(pool, channels);
    queue.rebuild();
    const batch = makeBatch(4);
    const { ringEntries } = channel.layout;
    // Three times around, so that the counters pass every boundary.
    for (let n = 0; n < ringEntries * 3; n += 3) {
      expect(channel.ringRoom).toBe(ringEntries);
      for (const slot of [0, 1, 2]) publish(channel, slot, n + slot);
      expect(channel.ringRoom).toBe(ringEntries - 3);
      expect(queue.drain([channel])).toEqual([]);
      queue.take(0, 4, OWNER, 0, batch);
      expect(rowsOf(batch)).toEqual(["0:0", "0:1", "0:2"]);
      for (const slot of [0, 1, 2]) {
        expect(channel.complete(slot, OWNER, generationOf(channel.wordOf(slot)), Outcome.ok)).toBe(true);
        channel.recycle(slot, channel.wordOf(slot));
      }
    }
    expect(channel.control[channel.layout.tail]).toBe((start + ringEntries * 3) | 0);
  });

  it.each(starts)("say from %d when the ring is full of stale entries", (start) => {
    const channel = makeChannel({ slots: 1 });
    channel.control[channel.layout.tail] = start;
    channel.control[channel.layout.head] = start;
    for (let room = channel.layout.ringEntries; room > 0; room--) {
      expect(channel.ringRoom).toBe(room);
      channel.publish(0);
      channel.cancel(0);
    }
    expect(channel.ringRoom).toBe(0);
  });
});

describe("ringCaller", () => {
  it("leaves no caller asleep with nobody to tell it, whenever that falls asleep", () => {
    const faults: number[] = [];
    let accesses = 1;
    for (let at = 0; at <= accesses; at++) {
      const channel = makeChannel();
      const { control, layout } = channel;
      // It waits for an earlier answer.
      control[layout.waiting] = 1;
      let seen = -1;
      const fallAsleep = (): void => {
        seen = control[layout.bell];
        control[layout.waiting] = 1;
      };
      accesses = withAtomics({ before: (access) => access === at && fallAsleep() }, () =>
        channel.ringCaller(),
      );
      if (at === accesses) fallAsleep();
      if (control[layout.bell] === seen && control[layout.waiting] === 0) faults.push(at);
    }
    expect(accesses).toBeGreaterThan(2);
    expect(faults).toEqual([]);
  });
});
