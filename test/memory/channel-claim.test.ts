/** Who has a channel: claimed, given up, and inherited from a thread that ended. */

import { expect, it } from "vitest";
import { Channel } from "../../src/memory/channel.ts";
import { Outcome, Phase, generationOf, phaseOf } from "../../src/memory/slot.ts";
import { Queue } from "../../src/scheduler/queue.ts";
import { makeBatch, makeChannel, makeMemory, rowsOf } from "../support/memory.ts";

const DEAD = 0x8000_0007;
const MINE = 0x8000_0009;

/** A channel whose thread ended with these slots in these phases. */
function orphan(phases: Readonly<Record<number, "queued" | "taken" | "done">>): Channel {
  const channel = makeChannel({ slots: 40 });
  channel.claim();
  channel.watch = DEAD;
  for (const [key, phase] of Object.entries(phases)) {
    const slot = Number(key);
    channel.publish(slot);
    if (phase === "queued") continue;
    const generation = generationOf(channel.wordOf(slot));
    channel.control[channel.layout.word + slot] = Channel.taken(0, generation);
    if (phase === "taken") continue;
    channel.complete(slot, 0, generation, Outcome.ok);
    channel.markDone(slot >>> 5, 1 << (slot & 31));
  }
  return channel;
}

function phasesOf(channel: Channel): number[] {
  return Array.from({ length: channel.shape.slots }, (_, slot) => phaseOf(channel.wordOf(slot)));
}

it("is claimed by one at a time", () => {
  const channel = makeChannel();
  expect(channel.claim()).toBe(true);
  expect(channel.claim()).toBe(false);
  channel.release();
  expect(channel.claim()).toBe(true);
});

it("keeps the handle of a watch as it is, high bit and all, until it is given up", () => {
  const channel = makeChannel();
  channel.claim();
  expect(channel.watch).toBe(0);
  channel.watch = 0xffff_fffe;
  expect(channel.watch).toBe(0xffff_fffe);
  channel.release();
  expect(channel.watch).toBe(0);
});

it("is inherited with every slot free and no answer left over", () => {
  const channel = orphan({ 0: "queued", 7: "done", 35: "done", 36: "queued" });
  channel.control[channel.layout.waiting] = 1;
  expect(channel.inherit(DEAD, MINE)).toBe(true);
  expect(channel.watch).toBe(MINE);
  expect(phasesOf(channel).every((phase) => phase === Phase.free)).toBe(true);
  expect([0, 1].map((word) => channel.takeDone(word))).toEqual([0, 0]);
  expect(channel.control[channel.layout.waiting]).toBe(0);
  expect(channel.claim()).toBe(false);
});

it("is not inherited while an instance has a row of it, but later", () => {
  const channel = orphan({ 0: "queued", 7: "taken" });
  expect(channel.inherit(DEAD, MINE)).toBe(false);
  expect(channel.watch).toBe(DEAD);
  expect(phaseOf(channel.wordOf(7))).toBe(Phase.taken);
  channel.complete(7, 0, generationOf(channel.wordOf(7)), Outcome.ok);
  channel.markDone(0, 1 << 7);
  expect(channel.inherit(DEAD, MINE)).toBe(true);
  expect(channel.takeDone(0)).toBe(0);
});

it("is inherited by one of several", () => {
  const channel = orphan({});
  expect(channel.inherit(DEAD, MINE)).toBe(true);
  expect(channel.inherit(DEAD, MINE + 1)).toBe(false);
  expect(channel.watch).toBe(MINE);
});

it("does not run what its dead thread had queued, but what is published after", () => {
  const { pool, channels } = makeMemory({ channels: 1 });
  const [channel] = channels;
  const queue = new Queue(pool, channels);
  queue.rebuild();
  channel.claim();
  channel.watch = DEAD;
  for (const slot of [0, 1, 2]) channel.publish(slot);
  // One row is linked already, the others are still in the ring.
  queue.drain([channel]);
  channel.publish(3);
  expect(channel.inherit(DEAD, MINE)).toBe(true);
  channel.publish(1);
  queue.drain([channel]);
  const batch = makeBatch(4);
  queue.take(0, 4, 0, 0, batch);
  expect(rowsOf(batch)).toEqual(["0:1"]);
  expect(queue.isEmpty()).toBe(true);
});
