/**
 * The queue of waiting rows as its leader sees it: rings go into lists, oldest row first, and batches come
 * out of them. Each instance has one over the same memory, and only the one that leads uses it.
 */

import { PRIORITIES } from "../memory/layout.ts";
import { atomics } from "../memory/atomics.ts";
import type { Channel } from "../memory/channel.ts";
import type { Pool } from "../memory/pool.ts";
import { Phase, generationOf, phaseOf, slotWord } from "../memory/slot.ts";
import { STARVATION_MS } from "./decide.ts";
import type { Waiting } from "./decide.ts";
import { Lists, NONE } from "./lists.ts";

const NOBODY: readonly Channel[] = [];

/** A batch being made: parallel arrays, `rows` entries of which count. Belongs to one instance thread. */
export interface Batch {
  rows: number;
  readonly channels: Int32Array;
  readonly slots: Int32Array;
  readonly generations: Int32Array;
}

/** A row that waits, in its slot's generation. */
interface Row {
  channel: Channel;
  slot: number;
  generation: number;
}

export class Queue {
  readonly #channels: readonly Channel[];
  readonly #lists: Lists;
  readonly #waiting: { -readonly [K in keyof Waiting]: Waiting[K] }[] = [];
  /** By channel, while rings are emptied: how far its ring was read, and how far it is to be. */
  readonly #heads: Int32Array;
  readonly #tails: Int32Array;

  constructor(pool: Pool, channels: readonly Channel[]) {
    this.#channels = channels;
    this.#lists = new Lists(pool, channels);
    this.#heads = new Int32Array(channels.length);
    this.#tails = new Int32Array(channels.length);
    for (let group = 0; group < pool.shape.groups; group++)
      this.#waiting.push({ group, rows: 0, oldestMs: 0, priority: 0 });
  }

  /**
   * Empties the rings of these channels into the lists, the oldest row of all first: the batching timeout
   * counts from the first row of a list. Returns the channels whose ring keeps rows, because every list is
   * taken by another shape.
   */
  drain(channels: readonly Channel[]): readonly Channel[] {
    if (channels.length === 1) return this.#drainOne(channels[0]) ? NOBODY : [channels[0]];
    let blocked: Channel[] | null = null;
    for (const { control, layout, index } of channels) {
      this.#tails[index] = atomics.load(control, layout.tail);
      this.#heads[index] = control[layout.head];
    }
    for (let channel = this.#oldest(channels); channel !== null; channel = this.#oldest(channels)) {
      const { index } = channel;
      const entry = channel.entry(this.#heads[index]);
      if (this.#lists.link(channel, entry & 0xffff, entry >>> 16)) this.#heads[index]++;
      else {
        this.#tails[index] = this.#heads[index];
        (blocked ??= []).push(channel);
      }
    }
    for (const { control, layout, index } of channels) {
      atomics.store(control, layout.head, this.#heads[index]);
    }
    return blocked ?? NOBODY;
  }

  /** The same for one channel, whose ring has its rows in order. False if it keeps rows. */
  #drainOne(channel: Channel): boolean {
    const { control, layout } = channel;
    const tail = atomics.load(control, layout.tail);
    let head = control[layout.head];
    for (; head !== tail; head = (head + 1) | 0) {
      const entry = channel.entry(head);
      const [slot, generation] = [entry & 0xffff, entry >>> 16];
      if (!this.#lists.isQueued(channel, slot, generation)) continue;
      if (!this.#lists.link(channel, slot, generation)) break;
    }
    atomics.store(control, layout.head, head);
    return head === tail;
  }

  /** The channel whose ring has the oldest row in front; null if all have been read. */
  #oldest(channels: readonly Channel[]): Channel | null {
    let oldest: Channel | null = null;
    let oldestMs = Infinity;
    for (const channel of channels) {
      const slot = this.#skipStale(channel);
      if (slot === NONE || (oldest !== null && channel.entered[slot] >= oldestMs)) continue;
      oldest = channel;
      oldestMs = channel.entered[slot];
    }
    return oldest;
  }

  /**
   * Passes over what was given up, whose slot may be a younger row's by now. The first slot in the ring that
   * still waits; NONE if all of it has been read.
   */
  #skipStale(channel: Channel): number {
    const { index } = channel;
    for (; this.#heads[index] !== this.#tails[index]; this.#heads[index]++) {
      const entry = channel.entry(this.#heads[index]);
      if (this.#lists.isQueued(channel, entry & 0xffff, entry >>> 16)) return entry & 0xffff;
    }
    return NONE;
  }

  /**
   * Takes rows of a group into `batch`, for the instance `owner`: those of higher priority first, but before
   * them whatever has waited for too long. Rows that were given up, or whose deadline passed, fall away.
   */
  take(group: number, maxRows: number, owner: number, nowMs: number, batch: Batch): void {
    let rows = 0;
    while (rows < maxRows) {
      const row = this.#next(group, nowMs);
      if (row === NONE) break;
      const channel = this.#channels[row >>> 16];
      const slot = row & 0xffff;
      const generation = this.#lists.generation(channel, slot);
      this.#lists.unlink(channel, slot);
      if (channel.isOver(slot, nowMs)) {
        channel.expire(slot, generation);
        continue;
      }
      const word = channel.layout.word + slot;
      const queued = slotWord(Phase.queued, 0, 0, generation);
      const taken = slotWord(Phase.taken, owner, 0, generation);
      if (atomics.compareExchange(channel.control, word, queued, taken) !== queued) continue;
      batch.channels[rows] = channel.index;
      batch.slots[rows] = slot;
      batch.generations[rows] = generation;
      rows++;
    }
    batch.rows = rows;
  }

  /** The row of a group that goes next, NONE if nothing waits. */
  #next(group: number, nowMs: number): number {
    let next = NONE;
    let enteredMs = Infinity;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      const head = this.#lists.head(group, priority);
      if (head === NONE) continue;
      const headMs = this.#channels[head >>> 16].entered[head & 0xffff];
      if (next !== NONE && (headMs >= enteredMs || nowMs - headMs < STARVATION_MS)) continue;
      next = head;
      enteredMs = headMs;
    }
    return next;
  }

  /**
   * The groups as `decide` wants them. Rows at the front of a list that were given up, or whose deadline
   * passed, are dropped on the way.
   */
  waiting(nowMs: number): readonly Waiting[] {
    for (const view of this.#waiting) {
      view.rows = 0;
      view.oldestMs = Infinity;
      for (let priority = PRIORITIES - 1; priority >= 0; priority--) {
        const head = this.#front(view.group, priority, nowMs);
        if (head === NONE) continue;
        view.rows += this.#lists.count(view.group, priority);
        view.priority = priority;
        view.oldestMs = Math.min(view.oldestMs, this.#channels[head >>> 16].entered[head & 0xffff]);
      }
    }
    return this.#waiting;
  }

  /** The first row of a list that still waits. */
  #front(group: number, priority: number, nowMs: number): number {
    for (;;) {
      const head = this.#lists.head(group, priority);
      if (head === NONE) return NONE;
      const channel = this.#channels[head >>> 16];
      const slot = head & 0xffff;
      const generation = this.#lists.generation(channel, slot);
      if (this.#lists.isQueued(channel, slot, generation)) {
        if (!channel.isOver(slot, nowMs)) return head;
        channel.expire(slot, generation);
      }
      this.#lists.unlink(channel, slot);
    }
  }

  isEmpty(): boolean {
    return this.#waiting.every(({ group }) => this.#lists.rows(group) === 0);
  }

  /**
   * Makes the lists anew from the slot tables, oldest row first: for a leader that follows one that died.
   * Also what prepares them for the first leader. Returns the channels whose ring keeps rows, because all
   * lists are taken.
   */
  rebuild(): Channel[] {
    this.#lists.clear();
    const rows = this.#channels
      .flatMap((channel) => this.#queued(channel))
      .filter(({ channel, slot, generation }) => this.#lists.isQueued(channel, slot, generation));
    rows.sort((a, b) => a.channel.entered[a.slot] - b.channel.entered[b.slot]);
    const left = rows.filter(({ channel, slot, generation }) => !this.#lists.link(channel, slot, generation));
    // The ring grows at its front here, so the newest goes in first.
    for (const row of left.toReversed()) this.#spill(row);
    return [...new Set(left.map(({ channel }) => channel))];
  }

  /** All rows of a channel that wait, from its table and its ring, which is empty then. */
  #queued(channel: Channel): Row[] {
    const { control, layout, shape } = channel;
    const rows = new Map<number, Row>();
    const add = (slot: number, generation: number): void => {
      rows.set(slot, { channel, slot, generation });
    };
    const from = atomics.load(control, layout.tail);
    control.fill(0, layout.linked, layout.linked + shape.slots);
    for (let slot = 0; slot < shape.slots; slot++) {
      const word = atomics.load(control, layout.word + slot);
      if (phaseOf(word) === Phase.queued) add(slot, generationOf(word));
    }
    // What was published meanwhile may have been seen or not, an earlier row not and a later one yes.
    const to = atomics.load(control, layout.tail);
    for (let at = from; at !== to; at = (at + 1) | 0) {
      const entry = channel.entry(at);
      add(entry & 0xffff, entry >>> 16);
    }
    atomics.store(control, layout.head, to);
    return [...rows.values()];
  }

  /** Puts a row whose shape found no list back into its channel's ring; only possible while rebuilding. */
  #spill({ channel, slot, generation }: Row): void {
    const { control, layout } = channel;
    const head = (atomics.load(control, layout.head) - 1) | 0;
    control[layout.ring + (head & (layout.ringEntries - 1))] = slot | (generation << 16);
    atomics.store(control, layout.head, head);
  }
}
