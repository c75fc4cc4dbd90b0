/**
 * The lists of waiting rows: one per shape and priority, first in first out, linked through the slot tables.
 * They live in shared memory because the lead travels between threads; only the thread that holds the lead
 * touches them, so they are plain memory (see Pool).
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
import { Phase, generationOf, phaseOf, slotWord } from "../memory/slot.ts";
import { STARVATION_MS } from "./decide.ts";
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
  readonly #waiting: { -readonly [K in keyof Waiting]: Waiting[K] }[] = [];

  constructor(pool: Pool, channels: readonly Channel[]) {
    this.#words = pool.words;
    this.#layout = pool.layout;
    this.#channels = channels;
    this.#inputDims = pool.shape.inputDims;
    for (let group = 0; group < pool.shape.groups; group++)
      this.#waiting.push({ group, rows: 0, oldestMs: 0, priority: 0 });
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
      const generation = channel.control[channel.layout.linked + slot] & 0xffff;
      this.#unlink(channel, slot);
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
      const head = this.#words[this.#list(group * PRIORITIES + priority) + ListWord.head];
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
        const at = this.#list(view.group * PRIORITIES + priority);
        const head = this.#front(at, nowMs);
        if (head === NONE) continue;
        view.rows += this.#words[at + ListWord.count];
        view.priority = priority;
        view.oldestMs = Math.min(view.oldestMs, this.#channels[head >>> 16].entered[head & 0xffff]);
      }
    }
    return this.#waiting;
  }

  /** The first row of a list that still waits. */
  #front(at: number, nowMs: number): number {
    for (;;) {
      const head = this.#words[at + ListWord.head];
      if (head === NONE) return NONE;
      const channel = this.#channels[head >>> 16];
      const slot = head & 0xffff;
      const generation = channel.control[channel.layout.linked + slot] & 0xffff;
      if (this.#isQueued(channel, slot, generation)) {
        if (!channel.isOver(slot, nowMs)) return head;
        channel.expire(slot, generation);
      }
      this.#unlink(channel, slot);
    }
  }

  isEmpty(): boolean {
    return this.#waiting.every(({ group }) => this.#rows(group) === 0);
  }

  /** Rows linked in a group, given up or not. */
  #rows(group: number): number {
    let rows = 0;
    for (let priority = 0; priority < PRIORITIES; priority++)
      rows += this.#words[this.#list(group * PRIORITIES + priority) + ListWord.count];
    return rows;
  }

  /**
   * Makes the lists anew from the slot tables, oldest row first: for a leader that follows one that died.
   * Also what prepares them for the first leader. Returns the channels whose ring keeps rows, because all
   * lists are taken.
   */
  rebuild(): Channel[] {
    for (let list = 0; list < this.#waiting.length * PRIORITIES; list++) {
      const at = this.#list(list);
      this.#words[at + ListWord.head] = NONE;
      this.#words[at + ListWord.tail] = NONE;
      this.#words[at + ListWord.count] = 0;
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
    if (!this.#isQueued(channel, slot, generation)) return true;
    if (linked !== 0) this.#unlink(channel, slot);
    const group = this.#groupFor(channel, slot);
    if (group === NONE) return false;
    const list = group * PRIORITIES + control[layout.priority + slot];
    const at = this.#list(list);
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

  #unlink(channel: Channel, slot: number): void {
    const { control, layout } = channel;
    const at = this.#list(control[layout.list + slot]);
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

  #isQueued({ control, layout }: Channel, slot: number, generation: number): boolean {
    return atomics.load(control, layout.word + slot) === slotWord(Phase.queued, 0, 0, generation);
  }

  /** The list for a row's shape: one that holds it already, else an empty one, else NONE. */
  #groupFor(channel: Channel, slot: number): number {
    if (this.#inputDims === 0) return 0;
    const dims = channel.layout.inputDims + slot * this.#inputDims;
    let empty = NONE;
    for (const { group } of this.#waiting) {
      if (this.#rows(group) === 0) {
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

  #list(list: number): number {
    const group = Math.floor(list / PRIORITIES);
    return this.#group(group) + GroupWord.lists + (list - group * PRIORITIES) * ListWord.words;
  }
}
