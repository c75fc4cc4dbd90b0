/** The lists of waiting rows against a plain array: commands in whatever order end in the same batches. */

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Channel } from "../../src/memory/channel.ts";
import { Outcome } from "../../src/memory/slot.ts";
import { Queue } from "../../src/scheduler/queue.ts";
import { makeBatch, makeMemory, publish } from "../support/memory.ts";

const CHANNELS = 3;
const SLOTS = 5;
const OWNER = 1;

/** A row that waits, in the model. */
interface Row {
  channel: number;
  slot: number;
  dim: number;
  enteredMs: number;
  /** The leader has seen it. */
  drained: boolean;
}

/** Rows in the order in which they were published, and rows that were taken and not given back yet. */
interface Model {
  waiting: Row[];
  taken: Row[];
  /** Rows in the order in which the leader saw them. */
  lists: Row[];
  nowMs: number;
  takenEver: number;
}

class Real {
  readonly channels: Channel[];
  queue: Queue;
  readonly #pool;

  constructor(groups: number) {
    const { pool, channels } = makeMemory({ channels: CHANNELS, slots: SLOTS, inputDims: 1, groups });
    this.#pool = pool;
    this.channels = channels;
    this.queue = new Queue(pool, channels);
    this.queue.rebuild();
  }

  /** A leader died: the next one, on another thread, makes the lists anew. */
  rebuild(): void {
    this.queue = new Queue(this.#pool, this.channels);
    this.queue.rebuild();
  }

  /** Takes rows of a list and answers them; the slots are given back when the model says so. */
  take(group: number, maxRows: number): { channel: number; slot: number }[] {
    const batch = makeBatch(maxRows);
    this.queue.take(group, maxRows, OWNER, 0, batch);
    return Array.from({ length: batch.rows }, (_, row) => {
      const [channel, slot] = [batch.channels[row], batch.slots[row]];
      assert(this.channels[channel].complete(slot, OWNER, batch.generations[row], Outcome.ok));
      return { channel, slot };
    });
  }
}

type Command = fc.Command<Model, Real>;

const busy = (model: Model, channel: number, slot: number): boolean =>
  [...model.waiting, ...model.taken].some((row) => row.channel === channel && row.slot === slot);

class Publish implements Command {
  readonly #channel: number;
  readonly #slot: number;
  readonly #dim: number;
  constructor(channel: number, slot: number, dim: number) {
    this.#channel = channel;
    this.#slot = slot;
    this.#dim = dim;
  }
  check = (model: Readonly<Model>): boolean => !busy(model, this.#channel, this.#slot);
  run(model: Model, { channels }: Real): void {
    const channel = channels[this.#channel];
    if (channel.ringRoom === 0) return;
    const row = { channel: this.#channel, slot: this.#slot, dim: this.#dim, enteredMs: ++model.nowMs };
    publish(channel, this.#slot, row.enteredMs, [this.#dim]);
    model.waiting.push({ ...row, drained: false });
  }
  toString = (): string => `publish(${this.#channel}:${this.#slot}, ${this.#dim})`;
}

class Cancel implements Command {
  readonly #index: number;
  constructor(index: number) {
    this.#index = index;
  }
  check = (model: Readonly<Model>): boolean => model.waiting.length > 0;
  run(model: Model, { channels }: Real): void {
    const [row] = model.waiting.splice(this.#index % model.waiting.length, 1);
    assert(channels[row.channel].cancel(row.slot));
    model.lists = model.lists.filter((other) => other !== row);
  }
  toString = (): string => `cancel(${this.#index})`;
}

class Recycle implements Command {
  check = (model: Readonly<Model>): boolean => model.taken.length > 0;
  run(model: Model, { channels }: Real): void {
    const row = model.taken.shift()!;
    const channel = channels[row.channel];
    channel.recycle(row.slot, channel.wordOf(row.slot));
  }
  toString = (): string => "recycle()";
}

/** Empties the rings of some channels: what fits of them goes into the lists, oldest first. */
class Drain implements Command {
  readonly #channels: readonly number[];
  constructor(channels: readonly number[]) {
    this.#channels = channels;
  }
  check = (): boolean => true;
  run(model: Model, real: Real): void {
    const blocked = real.queue.drain(this.#channels.map((channel) => real.channels[channel]));
    const seen = model.waiting.filter(
      ({ channel, drained }) =>
        this.#channels.includes(channel) && !drained && !blocked.includes(real.channels[channel]),
    );
    for (const row of seen) row.drained = true;
    model.lists.push(...seen);
  }
  toString = (): string => `drain(${this.#channels.join(", ")})`;
}

class Rebuild implements Command {
  check = (): boolean => true;
  run(model: Model, real: Real): void {
    real.rebuild();
    for (const row of model.waiting) row.drained = true;
    model.lists = model.waiting.toSorted((a, b) => a.enteredMs - b.enteredMs);
  }
  toString = (): string => "rebuild()";
}

class Take implements Command {
  readonly #group: number;
  readonly #maxRows: number;
  constructor(group: number, maxRows: number) {
    this.#group = group;
    this.#maxRows = maxRows;
  }
  check = (): boolean => true;
  run(model: Model, real: Real): void {
    const group = real.queue.waiting(0)[this.#group];
    const rows = real.take(this.#group, this.#maxRows);
    assert.equal(rows.length === 0, group.rows === 0);
    if (rows.length === 0) return;
    const find = (row: { channel: number; slot: number }): Row | undefined =>
      model.lists.find(({ channel, slot }) => channel === row.channel && slot === row.slot);
    const first = find(rows[0]);
    assert(first, "a row that nobody waits for");
    assert.equal(group.oldestMs, first.enteredMs);
    const same = model.lists.filter(({ dim }) => dim === first.dim);
    assert.deepEqual(
      rows,
      same.slice(0, this.#maxRows).map(({ channel, slot }) => ({ channel, slot })),
    );
    model.takenEver += rows.length;
    const taken = rows.map((row) => find(row)!);
    model.taken.push(...taken);
    model.waiting = model.waiting.filter((row) => !taken.includes(row));
    model.lists = model.lists.filter((row) => !taken.includes(row));
  }
  toString = (): string => `take(${this.#group}, ${this.#maxRows})`;
}

const upTo = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });

function commands(groups: number, dims: number): fc.Arbitrary<Iterable<Command>> {
  const publishes = fc
    .tuple(upTo(CHANNELS - 1), upTo(SLOTS - 1), fc.integer({ min: 1, max: dims }))
    .map(([channel, slot, dim]) => new Publish(channel, slot, dim));
  return fc.commands(
    [
      publishes,
      publishes,
      upTo(9).map((index) => new Cancel(index)),
      fc.constant(new Recycle()),
      fc.subarray(Array.from({ length: CHANNELS }, (_, channel) => channel)).map((some) => new Drain(some)),
      fc.tuple(upTo(groups - 1), fc.integer({ min: 1, max: 4 })).map(([group, max]) => new Take(group, max)),
      fc.constant(new Rebuild()),
    ],
    { maxCommands: 80, size: "max" },
  );
}

function emptyModel(): Model {
  return { waiting: [], taken: [], lists: [], nowMs: 0, takenEver: 0 };
}

it.each([
  { groups: 1, dims: 1 },
  { groups: 3, dims: 3 },
])("gives the same batches with $groups lists and $dims shapes", ({ groups, dims }) => {
  let taken = 0;
  fc.assert(
    fc.property(commands(groups, dims), (list) => {
      const model = emptyModel();
      fc.modelRun(() => ({ model, real: new Real(groups) }), list);
      taken += model.takenEver;
    }),
    { numRuns: 500 },
  );
  expect(taken).toBeGreaterThan(500);
});

/** What is left comes out to the last row, each shape in the order in which it was published. */
function takeAll(real: Real, groups: number): { channel: number; slot: number }[] {
  const all: { channel: number; slot: number }[] = [];
  for (let round = 0; round < CHANNELS * SLOTS + 1; round++) {
    real.queue.drain(real.channels);
    for (let group = 0; group < groups; group++) all.push(...real.take(group, 100));
  }
  return all;
}

it("loses no row with more shapes than lists", () => {
  const groups = 2;
  const rows = fc.array(
    fc.record({ channel: upTo(CHANNELS - 1), slot: upTo(SLOTS - 1), dim: fc.integer({ min: 1, max: 4 }) }),
    { minLength: 3, maxLength: 10, size: "max" },
  );
  fc.assert(
    fc.property(rows, upTo(10), (asked, rebuildAfter) => {
      const real = new Real(groups);
      const model = emptyModel();
      for (const [n, { channel, slot, dim }] of asked.entries()) {
        if (!busy(model, channel, slot)) new Publish(channel, slot, dim).run(model, real);
        if (n % 3 === 0) real.queue.drain([real.channels[channel]]);
        if (n === rebuildAfter) real.rebuild();
      }
      const out = takeAll(real, groups);
      expect(out).toHaveLength(model.waiting.length);
      for (let channel = 0; channel < CHANNELS; channel++) {
        for (const dim of [1, 2, 3, 4]) {
          const published = model.waiting.filter((row) => row.channel === channel && row.dim === dim);
          const slots = published.map(({ slot }) => slot);
          const came = out.filter((row) => row.channel === channel && slots.includes(row.slot));
          expect(came.map(({ slot }) => slot)).toEqual(slots);
        }
      }
    }),
    { numRuns: 500 },
  );
});
