/**
 * A channel: what one calling thread and the instances share. It has one producer, the caller, which
 * publishes rows in a ring; whoever leads empties the ring; whoever ran a row sets its done bit.
 */

import { atomics } from "./atomics.ts";
import type { Words } from "./atomics.ts";
import { channelLayout, payloadOffsets, TEXT_BYTES } from "./layout.ts";
import type { ChannelBuffers, ChannelLayout, MemoryShape } from "./layout.ts";
import { RowTexts } from "./row-texts.ts";
import { GENERATION_MASK, Outcome, Phase, generationOf, ownerOf, phaseOf, slotWord } from "./slot.ts";

/** Values of the owner word. */
export const Claim = { free: 0, claimed: 1 } as const;

export function createChannelBuffers(shape: MemoryShape): ChannelBuffers {
  const { words } = channelLayout(shape);
  return {
    control: new SharedArrayBuffer(words * 4),
    payload: new SharedArrayBuffer(payloadOffsets(shape.strideBytes, shape.slots).bytes),
  };
}

export class Channel {
  readonly index: number;
  readonly shape: MemoryShape;
  readonly layout: ChannelLayout;
  readonly control: Words;
  readonly payload: SharedArrayBuffer;
  /**
   * When each slot's row entered `models()`: milliseconds of the common clock. Written by the caller before
   * it publishes.
   */
  readonly entered: Float64Array;
  /** When each slot's row is no longer wanted, on the same clock; 0 if it has no deadline. */
  readonly deadlines: Float64Array;
  readonly #ringMask: number;
  /** Why rows failed. Written by the instance before it completes the row. */
  readonly texts: RowTexts;

  constructor(index: number, shape: MemoryShape, buffers: ChannelBuffers) {
    this.index = index;
    this.shape = shape;
    this.layout = channelLayout(shape);
    this.control = new Int32Array(buffers.control);
    this.payload = buffers.payload;
    this.entered = new Float64Array(buffers.control, this.layout.entered * 4, shape.slots);
    this.deadlines = new Float64Array(buffers.control, this.layout.deadline * 4, shape.slots);
    this.#ringMask = this.layout.ringEntries - 1;
    this.texts = new RowTexts(
      new Uint8Array(buffers.control, this.layout.textBytes, shape.slots * TEXT_BYTES),
    );
  }

  // ---- caller
  // ------------------------------------------------------------------------------------------------------

  /** Takes the channel for the calling thread; false if another one has it. */
  claim(): boolean {
    return atomics.compareExchange(this.control, this.layout.owner, Claim.free, Claim.claimed) === Claim.free;
  }

  /** Gives the channel up. All of its slots must be free. */
  release(): void {
    this.watch = 0;
    atomics.store(this.control, this.layout.owner, Claim.free);
  }

  /** Handle of the watch on the thread that has the channel; 0: it is not watched. */
  get watch(): number {
    return atomics.load(this.control, this.layout.watch) >>> 0;
  }

  set watch(watch: number) {
    atomics.store(this.control, this.layout.watch, watch | 0);
  }

  /**
   * Takes the channel over from a thread that ended, once nothing of it is with an instance. What it had
   * queued is given up. False if another thread was faster, or rows are still with an instance.
   */
  inherit(deadWatch: number, watch: number): boolean {
    const { control, layout, shape } = this;
    if (atomics.compareExchange(control, layout.watch, deadWatch | 0, watch | 0) !== (deadWatch | 0))
      return false;
    for (let slot = 0; slot < shape.slots; slot++) {
      if (phaseOf(this.wordOf(slot)) === Phase.queued) this.cancel(slot);
    }
    for (let slot = 0; slot < shape.slots; slot++) {
      const phase = phaseOf(this.wordOf(slot));
      if (phase !== Phase.taken && phase !== Phase.lost) continue;
      atomics.store(control, layout.watch, deadWatch | 0);
      return false;
    }
    for (let word = 0; word < layout.doneWords; word++) this.takeDone(word);
    for (let slot = 0; slot < shape.slots; slot++) this.recycle(slot, this.wordOf(slot));
    atomics.store(control, layout.waiting, 0);
    return true;
  }

  /** Room in the ring: entries that can be published before the leader has to read some. */
  get ringRoom(): number {
    const { control, layout } = this;
    const used = (atomics.load(control, layout.tail) - atomics.load(control, layout.head)) | 0;
    return layout.ringEntries - used;
  }

  /**
   * Says when and how a row is to be run, before it is published: when it entered `models()`, until when it
   * is wanted (both in ms of the common clock; 0: for ever), and its priority, 0 first.
   */
  schedule(slot: number, enteredMs: number, deadlineMs: number, priority: number): void {
    const at = this.layout.priority + slot;
    this.entered[slot] = enteredMs;
    // Most often as before: what is not written stays in both cores' caches.
    if (this.deadlines[slot] !== deadlineMs) this.deadlines[slot] = deadlineMs;
    if (this.control[at] !== priority) this.control[at] = priority;
  }

  /**
   * Publishes a filled slot: the row is the leader's to take from here on. The bell is rung apart, once for
   * many rows.
   */
  publish(slot: number): void {
    const { control, layout } = this;
    const word = control[layout.word + slot];
    const generation = (generationOf(word) + 1) & GENERATION_MASK;
    atomics.store(control, layout.word + slot, slotWord(Phase.queued, 0, 0, generation));
    const tail = control[layout.tail];
    control[layout.ring + (tail & this.#ringMask)] = slot | (generation << 16);
    // Orders everything above before it: who sees the new tail sees the entry, the slot word and the row's
    // bytes.
    atomics.store(control, layout.tail, (tail + 1) | 0);
  }

  /** Gives up a row that nobody took yet; false if an instance has it or it is done. */
  cancel(slot: number): boolean {
    const at = this.layout.word + slot;
    const word = atomics.load(this.control, at);
    if (phaseOf(word) !== Phase.queued) return false;
    const free = slotWord(Phase.free, 0, 0, generationOf(word));
    return atomics.compareExchange(this.control, at, word, free) === word;
  }

  /** Whether a row's deadline passed. */
  isOver(slot: number, nowMs: number): boolean {
    const deadlineMs = this.deadlines[slot];
    return deadlineMs !== 0 && deadlineMs <= nowMs;
  }

  /**
   * Answers a row that waits and whose deadline passed, in the name of whoever leads. False if its caller
   * gave it up meanwhile.
   */
  expire(slot: number, generation: number): boolean {
    const at = this.layout.word + slot;
    const queued = slotWord(Phase.queued, 0, 0, generation);
    const done = slotWord(Phase.done, 0, Outcome.timedOut, generation);
    if (atomics.compareExchange(this.control, at, queued, done) !== queued) return false;
    this.markDone(slot >>> 5, 1 << (slot & 31));
    this.ringCaller();
    return true;
  }

  /**
   * Takes one word of done bits; bit b of word w stands for slot w * 32 + b. A bit may be set twice, so only
   * a slot whose word says done has an outcome, which is read once: see `recycle`.
   */
  takeDone(word: number): number {
    const at = this.layout.done + word;
    return atomics.load(this.control, at) === 0 ? 0 : atomics.exchange(this.control, at, 0);
  }

  /** The word of a slot that is done; the slot may be used again after `recycle`. */
  wordOf(slot: number): number {
    return atomics.load(this.control, this.layout.word + slot);
  }

  /** Done -> Free. Only the caller does this, so a plain store in the right order is enough. */
  recycle(slot: number, word: number): void {
    atomics.store(this.control, this.layout.word + slot, slotWord(Phase.free, 0, 0, generationOf(word)));
  }

  // ---- leader
  // ------------------------------------------------------------------------------------------------------

  /** What was published as number `at`: slot | generation << 16. It stands until the head has passed it. */
  entry(at: number): number {
    return this.control[this.layout.ring + (at & this.#ringMask)];
  }

  // ---- instance
  // ----------------------------------------------------------------------------------------------------

  /** The word a Taken row must still have for `owner` to complete it. */
  static taken(owner: number, generation: number): number {
    return slotWord(Phase.taken, owner, 0, generation);
  }

  /**
   * Taken(owner) -> Done. False when the row was answered in this owner's name already: the completion is
   * stale.
   */
  complete(slot: number, owner: number, generation: number, outcome: number): boolean {
    const at = this.layout.word + slot;
    const taken = Channel.taken(owner, generation);
    const done = slotWord(Phase.done, 0, outcome, generation);
    return atomics.compareExchange(this.control, at, taken, done) === taken;
  }

  /** Sets done bits of one word, after `complete` won those slots. */
  markDone(word: number, bits: number): void {
    atomics.or(this.control, this.layout.done + word, bits);
  }

  /**
   * Wakes the caller, if it sleeps. Rung once for all rows of a batch. `waiting` is cleared before the bell
   * grows: a caller reads the bell first, so whoever clears its `waiting` also changes the bell that it is
   * about to sleep on. The other way round it could sleep with nobody told.
   */
  ringCaller(): void {
    const { control, layout } = this;
    const { bell, waiting } = layout;
    const waits = atomics.load(control, waiting) !== 0 && atomics.exchange(control, waiting, 0) !== 0;
    atomics.add(control, bell, 1);
    if (waits) atomics.notify(control, bell);
  }

  /** Wakes the caller, whatever `waiting` says: the dead may have cleared it and not come to the bell. */
  wakeCaller(): void {
    atomics.add(this.control, this.layout.bell, 1);
    atomics.notify(this.control, this.layout.bell);
  }

  /**
   * Answers for every row that a dead instance took. Called by the supervisor; returns how many there were.
   *
   * It may have died after it completed rows and before it set their done bits, so the bits of all rows that
   * are done are set once more. The caller passes over a bit whose slot is not done.
   */
  failTaken(owner: number): number {
    const { control, layout } = this;
    let failed = 0;
    let done = 0;
    for (let slot = 0; slot < this.shape.slots; slot++) {
      const word = atomics.load(control, layout.word + slot);
      if (phaseOf(word) === Phase.taken && ownerOf(word) === owner) {
        if (!this.complete(slot, owner, generationOf(word), Outcome.instanceLost)) continue;
        failed++;
      } else if (phaseOf(word) !== Phase.done) continue;
      this.markDone(slot >>> 5, 1 << (slot & 31));
      done++;
    }
    if (done > 0) this.wakeCaller();
    return failed;
  }

  /**
   * Tells the callers of all rows whose call was given up with its thread, which keeps the slots until
   * `giveBack`. Called by the supervisor; returns how many rows there were.
   */
  loseTaken(owner: number): number {
    let lost = 0;
    for (let slot = 0; slot < this.shape.slots; slot++) {
      const word = this.wordOf(slot);
      if (phaseOf(word) !== Phase.taken || ownerOf(word) !== owner) continue;
      const to = slotWord(Phase.lost, owner, 0, generationOf(word));
      if (atomics.compareExchange(this.control, this.layout.word + slot, word, to) !== word) continue;
      this.markDone(slot >>> 5, 1 << (slot & 31));
      lost++;
    }
    if (lost > 0) this.ringCaller();
    return lost;
  }

  /**
   * Gives a slot back whose call was given up and has returned, though the supervisor may not have come to it
   * yet. False if the row was answered before that call.
   */
  giveBack(slot: number, owner: number, generation: number): boolean {
    if (!this.complete(slot, owner, generation, Outcome.callLost)) {
      const at = this.layout.word + slot;
      const lost = slotWord(Phase.lost, owner, 0, generation);
      const done = slotWord(Phase.done, 0, Outcome.callLost, generation);
      if (atomics.compareExchange(this.control, at, lost, done) !== lost) return false;
    }
    this.markDone(slot >>> 5, 1 << (slot & 31));
    return true;
  }
}
