/**
 * The pool block: what all instances of one pipe share, and what a caller needs to wake one of them.
 *
 * The lead is one word: 0, or the number of the instance that leads plus one. It guards the lists of waiting
 * rows (the groups and the slots' link fields), which are plain memory: taking and giving up the lead orders
 * all accesses to them.
 */

import { atomics } from "./atomics.ts";
import type { Words } from "./atomics.ts";
import { CounterF64, InstanceWord, poolLayout } from "./layout.ts";
import type { MemoryShape, PoolLayout } from "./layout.ts";

/** Values of an instance's state word. */
export const State = { starting: 0, idle: 1, leading: 2, running: 3, parked: 4, dead: 5 } as const;

/** Values of the gate: open for requests, draining, or shut (what waits is never run). */
export const Gate = { starting: 0, open: 1, draining: 2, shut: 3 } as const;

export class Pool {
  readonly shape: MemoryShape;
  readonly layout: PoolLayout;
  readonly words: Words;
  readonly buffer: SharedArrayBuffer;

  constructor(shape: MemoryShape, buffer?: SharedArrayBuffer) {
    this.shape = shape;
    this.layout = poolLayout(shape);
    this.buffer = buffer ?? new SharedArrayBuffer(this.layout.words * 4);
    this.words = new Int32Array(this.buffer);
  }

  // ---- any thread
  // --------------------------------------------------------------------------------------------------

  get gate(): number {
    return atomics.load(this.words, this.layout.gate);
  }

  setGate(gate: number): void {
    atomics.store(this.words, this.layout.gate, gate);
  }

  state(instance: number): number {
    return atomics.load(this.words, this.line(instance) + InstanceWord.state);
  }

  setState(instance: number, state: number): void {
    atomics.store(this.words, this.line(instance) + InstanceWord.state, state);
  }

  /** Instances that run a batch now, counted from their state words. */
  running(): number {
    let running = 0;
    for (let i = 0; i < this.shape.instances; i++) if (this.state(i) === State.running) running++;
    return running;
  }

  /**
   * Says that a channel has new rows, then wakes whoever is to look at them. The order matters: see
   * Lead.give.
   */
  ring(channel: number): void {
    atomics.or(this.words, this.layout.pending + (channel >>> 5), 1 << (channel & 31));
    const leader = atomics.load(this.words, this.layout.lead);
    if (leader !== 0) this.wake(leader - 1);
    else this.wakeParked();
  }

  /**
   * Wakes one instance: its wake word grows, so that it cannot miss this between its last look and its sleep.
   */
  wake(instance: number): void {
    const at = this.line(instance) + InstanceWord.wake;
    atomics.add(this.words, at, 1);
    if (this.state(instance) === State.parked) atomics.notify(this.words, at);
  }

  /** Wakes one parked instance, if there is one. */
  wakeParked(): void {
    for (let i = 0; i < this.shape.instances; i++) {
      if (this.state(i) !== State.parked) continue;
      this.wake(i);
      return;
    }
  }

  wakeAll(): void {
    for (let i = 0; i < this.shape.instances; i++) this.wake(i);
  }

  // ---- instance
  // ----------------------------------------------------------------------------------------------------

  /** The wake word's value, read before a last look; `sleep` returns at once if it has grown since. */
  wakeSeen(instance: number): number {
    return atomics.load(this.words, this.line(instance) + InstanceWord.wake);
  }

  /** Parks the instance's thread until it is woken or `timeoutMs` passed. Its state must say parked. */
  sleep(instance: number, seen: number, timeoutMs: number): void {
    atomics.wait(this.words, this.line(instance) + InstanceWord.wake, seen, timeoutMs);
  }

  tryLead(instance: number): boolean {
    return atomics.compareExchange(this.words, this.layout.lead, 0, instance + 1) === 0;
  }

  get leader(): number {
    return atomics.load(this.words, this.layout.lead) - 1;
  }

  dropLead(): void {
    atomics.store(this.words, this.layout.lead, 0);
  }

  /** Frees a lead that a dead instance holds; the next leader rebuilds the lists before it trusts them. */
  freeLeadOf(dead: number): void {
    if (this.leader === dead) this.askRebuild();
    atomics.compareExchange(this.words, this.layout.lead, dead + 1, 0);
  }

  /** The lists of waiting rows are not to be trusted; the next leader makes them anew. */
  askRebuild(): void {
    atomics.store(this.words, this.layout.rebuild, 1);
  }

  takeRebuild(): boolean {
    return (
      atomics.load(this.words, this.layout.rebuild) !== 0 &&
      atomics.exchange(this.words, this.layout.rebuild, 0) !== 0
    );
  }

  pendingBits(word: number): number {
    return atomics.load(this.words, this.layout.pending + word);
  }

  takePending(word: number): number {
    return atomics.exchange(this.words, this.layout.pending + word, 0);
  }

  hasPending(): boolean {
    for (let word = 0; word < this.layout.pendingWords; word++) if (this.pendingBits(word) !== 0) return true;
    return false;
  }

  // ---- counters: one writer each, read by anybody
  // ------------------------------------------------------------------

  /** First word of an instance's counters (see CounterWord). */
  counters(instance: number): number {
    return this.layout.counters + instance * this.layout.counterWords;
  }

  /** The instance's float64 sums (see CounterF64). */
  sums(instance: number): Float64Array {
    return new Float64Array(this.buffer, this.counters(instance) * 4, CounterF64.count);
  }

  /** First word of an instance's line (see InstanceWord). */
  line(instance: number): number {
    return this.layout.instances + instance * InstanceWord.words;
  }

  /** Where an instance says when its call began. */
  callStart(instance: number): Float64Array {
    return new Float64Array(this.buffer, (this.line(instance) + InstanceWord.started) * 4, 1);
  }
}
