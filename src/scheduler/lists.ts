/**
 * The lists of waiting rows: one per shape (group) and priority, linked through the slot tables. They live in
 * shared memory because the lead travels between threads; only the thread that holds the lead touches them,
 * so they are plain memory (see Pool).
 *
 * A row is named by one number, channel * 65536 + slot. A slot that its caller gave up may come back with a
 * new generation while its old entry is still linked: it is unlinked then and linked anew at the end.
 */

import { GroupWord, ListWord, PRIORITIES } from "../memory/layout.ts";
import type { PoolLayout } from "../memory/layout.ts";
import type { Words } from "../memory/atomics.ts";
import { atomics } from "../memory/atomics.ts";
import type { Channel } from "../memory/channel.ts";
import type { Pool } from "../memory/pool.ts";
import { Phase, slotWord } from "../memory/slot.ts";

export const NONE = -1;
const LINKED = 1 << 16;

export class Lists {
  readonly groups: number;
  readonly #words: Words;
  readonly #layout: PoolLayout;
  readonly #channels: readonly Channel[];
  readonly #inputDims: number;
  /** First word of each list: looked up for every row, several times. */
  readonly #at: Int32Array;

  constructor(pool: Pool, channels: readonly Channel[]) {
    this.groups = pool.shape.groups;
    this.#words = pool.words;
    this.#layout = pool.layout;
    this.#channels = channels;
    this.#inputDims = pool.shape.inputDims;
    this.#at = Int32Array.from({ length: this.groups * PRIORITIES }, (_, list) => {
      const group = Math.floor(list / PRIORITIES);
      return this.#group(group) + GroupWord.lists + (list - group * PRIORITIES) * ListWord.words;
    });
  }

  /** Empties all lists. The slots' own entries are not touched. */
  clear(): void {
    for (let list = 0; list < this.groups * PRIORITIES; list++) {
      const at = this.#at[list];
      this.#words[at + ListWord.head] = NONE;
      this.#words[at + ListWord.tail] = NONE;
      this.#words[at + ListWord.count] = 0;
    }
  }

  /** The first row of a list, given up or not; NONE if there is none. */
  head(group: number, priority: number): number {
    return this.#words[this.#at[group * PRIORITIES + priority] + ListWord.head];
  }

  /** Rows linked in a list, given up or not. */
  count(group: number, priority: number): number {
    return this.#words[this.#at[group * PRIORITIES + priority] + ListWord.count];
  }

  /** Rows linked in a group, given up or not. */
  rows(group: number): number {
    let rows = 0;
    for (let priority = 0; priority < PRIORITIES; priority++) rows += this.count(group, priority);
    return rows;
  }

  /** The generation in which a linked slot waits. */
  generation({ control, layout }: Channel, slot: number): number {
    return control[layout.linked + slot] & 0xffff;
  }

  /**
   * Appends a row to the list of its shape, unless it is linked already; false if there is no list left for
   * it.
   */
  link(channel: Channel, slot: number, generation: number): boolean {
    const { control, layout } = channel;
    const linked = control[layout.linked + slot];
    if (linked === (LINKED | generation)) return true;
    if (linked !== 0) this.unlink(channel, slot);
    const group = this.#groupFor(channel, slot);
    if (group === NONE) return false;
    const list = group * PRIORITIES + control[layout.priority + slot];
    const at = this.#at[list];
    const row = (channel.index << 16) | slot;
    const tail = this.#words[at + ListWord.tail];
    control[layout.next + slot] = NONE;
    control[layout.previous + slot] = tail;
    control[layout.list + slot] = list;
    control[layout.linked + slot] = LINKED | generation;
    if (tail === NONE) this.#words[at + ListWord.head] = row;
    else this.#set(tail, "next", row);
    this.#words[at + ListWord.tail] = row;
    this.#words[at + ListWord.count]++;
    return true;
  }

  unlink(channel: Channel, slot: number): void {
    const { control, layout } = channel;
    const at = this.#at[control[layout.list + slot]];
    const next = control[layout.next + slot];
    const previous = control[layout.previous + slot];
    if (previous === NONE) this.#words[at + ListWord.head] = next;
    else this.#set(previous, "next", next);
    if (next === NONE) this.#words[at + ListWord.tail] = previous;
    else this.#set(next, "previous", previous);
    control[layout.linked + slot] = 0;
    this.#words[at + ListWord.count]--;
  }

  #set(row: number, field: "next" | "previous", value: number): void {
    const channel = this.#channels[row >>> 16];
    channel.control[channel.layout[field] + (row & 0xffff)] = value;
  }

  /** Whether a slot waits, in this generation. */
  isQueued({ control, layout }: Channel, slot: number, generation: number): boolean {
    return atomics.load(control, layout.word + slot) === slotWord(Phase.queued, 0, 0, generation);
  }

  /** The list for a row's shape: one that holds it already, else an empty one, else NONE. */
  #groupFor(channel: Channel, slot: number): number {
    if (this.#inputDims === 0) return 0;
    const dims = channel.layout.inputDims + slot * this.#inputDims;
    let empty = NONE;
    for (let group = 0; group < this.groups; group++) {
      if (this.rows(group) === 0) {
        if (empty === NONE) empty = group;
      } else if (this.#sameDims(channel.control, dims, this.#group(group) + GroupWord.dims)) return group;
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
