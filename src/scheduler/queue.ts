/**
 * The lists of waiting rows: one per shape, first in first out, linked through the slot tables. They live in
 * shared memory because the lead travels between threads; only the thread that holds the lead touches them,
 * so they are plain memory (see Pool).
 *
 * A row is named by one number, channel * 65536 + slot. A slot that its caller gave up may come back with a
 * new generation while its old entry is still linked: it is unlinked then and linked anew at the end.
 */

import { GroupWord } from "../memory/layout.ts";
import type { PoolLayout } from "../memory/layout.ts";
import type { Words } from "../memory/atomics.ts";
import { atomics } from "../memory/atomics.ts";
import type { Channel } from "../memory/channel.ts";
import type { Pool } from "../memory/pool.ts";
import { Phase, generationOf, phaseOf, slotWord } from "../memory/slot.ts";
import type { Waiting } from "./decide.ts";

const NONE = -1;
const LINKED = 1 << 16;

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
  readonly #words: Words;
  readonly #layout: PoolLayout;
  readonly #channels: readonly Channel[];
  readonly #inputDims: number;
  readonly #waiting: { group: number; rows: number; oldestMs: number }[] = [];

  constructor(pool: Pool, channels: readonly Channel[]) {
    this.#words = pool.words;
    this.#layout = pool.layout;
    this.#channels = channels;
    this.#inputDims = pool.shape.inputDims;
    for (let group = 0; group < pool.shape.groups; group++)
      this.#waiting.push({ group, rows: 0, oldestMs: 0 });
  }

  /**
   * Empties a channel's ring into the lists. False if it stopped because every list is taken by another
   * shape.
   */
  drain(channel: Channel): boolean {
    const { control, layout } = channel;
    const mask = layout.ringEntries - 1;
    const tail = atomics.load(control, layout.tail);
    let head = control[layout.head];
    let fits = true;
    while (head !== tail) {
      const entry = control[layout.ring + (head & mask)];
      if (!this.#link(channel, entry & 0xffff, entry >>> 16)) {
        fits = false;
        break;
      }
      head = (head + 1) | 0;
    }
    atomics.store(control, layout.head, head);
    return fits;
  }

  /**
   * Takes rows of a group from its front into `batch`, for the instance `owner`. Rows that were given up fall
   * away.
   */
  take(group: number, maxRows: number, owner: number, batch: Batch): void {
    const at = this.#group(group);
    let rows = 0;
    while (rows < maxRows && this.#words[at + GroupWord.head] !== NONE) {
      const row = this.#words[at + GroupWord.head];
      const channel = this.#channels[row >>> 16];
      const slot = row & 0xffff;
      const generation = channel.control[channel.layout.linked + slot] & 0xffff;
      this.#unlink(channel, slot);
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

  /** The groups as `decide` wants them. Rows given up at the front of a list are dropped on the way. */
  waiting(): readonly Waiting[] {
    for (const view of this.#waiting) {
      const at = this.#group(view.group);
      let head = this.#words[at + GroupWord.head];
      while (head !== NONE && !this.#isQueued(head)) {
        this.#unlink(this.#channels[head >>> 16], head & 0xffff);
        head = this.#words[at + GroupWord.head];
      }
      view.rows = this.#words[at + GroupWord.count];
      if (head !== NONE) view.oldestMs = this.#channels[head >>> 16].entered[head & 0xffff];
    }
    return this.#waiting;
  }

  isEmpty(): boolean {
    for (const { group } of this.#waiting)
      if (this.#words[this.#group(group) + GroupWord.count] !== 0) return false;
    return true;
  }

  /**
   * Makes the lists anew from the slot tables, oldest row first: for a leader that follows one that died.
   * Also what prepares them for the first leader. Returns the channels whose ring keeps rows, because all
   * lists are taken.
   */
  rebuild(): Channel[] {
    for (const { group } of this.#waiting) {
      const at = this.#group(group);
      this.#words[at + GroupWord.head] = NONE;
      this.#words[at + GroupWord.tail] = NONE;
      this.#words[at + GroupWord.count] = 0;
    }
    const rows = this.#channels.flatMap((channel) => this.#queued(channel));
    rows.sort((a, b) => a.channel.entered[a.slot] - b.channel.entered[b.slot]);
    const left = rows.filter(({ channel, slot, generation }) => !this.#link(channel, slot, generation));
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
      const entry = control[layout.ring + (at & (layout.ringEntries - 1))];
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

  /**
   * Appends a row to the list of its shape; false if there is no list left for it. Stale entries are passed
   * over.
   */
  #link(channel: Channel, slot: number, generation: number): boolean {
    const { control, layout } = channel;
    const linked = control[layout.linked + slot];
    if (linked === (LINKED | generation)) return true;
    if (atomics.load(control, layout.word + slot) !== slotWord(Phase.queued, 0, 0, generation)) return true;
    if (linked !== 0) this.#unlink(channel, slot);
    const group = this.#groupFor(channel, slot);
    if (group === NONE) return false;
    const at = this.#group(group);
    const row = (channel.index << 16) | slot;
    const tail = this.#words[at + GroupWord.tail];
    control[layout.next + slot] = NONE;
    control[layout.previous + slot] = tail;
    control[layout.group + slot] = group;
    control[layout.linked + slot] = LINKED | generation;
    if (tail === NONE) this.#words[at + GroupWord.head] = row;
    else this.#set(tail, "next", row);
    this.#words[at + GroupWord.tail] = row;
    this.#words[at + GroupWord.count]++;
    return true;
  }

  #unlink(channel: Channel, slot: number): void {
    const { control, layout } = channel;
    const at = this.#group(control[layout.group + slot]);
    const next = control[layout.next + slot];
    const previous = control[layout.previous + slot];
    if (previous === NONE) this.#words[at + GroupWord.head] = next;
    else this.#set(previous, "next", next);
    if (next === NONE) this.#words[at + GroupWord.tail] = previous;
    else this.#set(next, "previous", previous);
    control[layout.linked + slot] = 0;
    this.#words[at + GroupWord.count]--;
  }

  #set(row: number, field: "next" | "previous", value: number): void {
    const channel = this.#channels[row >>> 16];
    channel.control[channel.layout[field] + (row & 0xffff)] = value;
  }

  #isQueued(row: number): boolean {
    const { control, layout } = this.#channels[row >>> 16];
    const slot = row & 0xffff;
    const queued = slotWord(Phase.queued, 0, 0, control[layout.linked + slot] & 0xffff);
    return atomics.load(control, layout.word + slot) === queued;
  }

  /** The list for a row's shape: one that holds it already, else an empty one, else NONE. */
  #groupFor(channel: Channel, slot: number): number {
    if (this.#inputDims === 0) return 0;
    const dims = channel.layout.inputDims + slot * this.#inputDims;
    let empty = NONE;
    for (const { group } of this.#waiting) {
      const at = this.#group(group);
      if (this.#words[at + GroupWord.count] === 0) {
        if (empty === NONE) empty = group;
      } else if (this.#sameDims(channel.control, dims, at + GroupWord.dims)) return group;
    }
    if (empty !== NONE) {
      const to = this.#group(empty) + GroupWord.dims;
      for (let d = 0; d < this.#inputDims; d++) this.#words[to + d] = channel.control[dims + d];
    }
    return empty;
  }

  #sameDims(control: Words, dims: number, groupDims: number): boolean {
    for (let d = 0; d < this.#inputDims; d++)
      if (control[dims + d] !== this.#words[groupDims + d]) return false;
    return true;
  }

  #group(group: number): number {
    return this.#layout.groups + group * this.#layout.groupWords;
  }
}
