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

/**
 * The turn word of an instance's line says which thread comes after the one that has the line: the lowest two
 * bits are one of these, the others the ticket of whoever comes next, or came last. Tickets only grow.
 *
 *   waiting -> asked      the owner, when the next one can serve: the one that serves is to go
 *   asked -> given        the one that serves, when it has nothing left to answer; or the owner, if it died
 *   any -> called off     the owner, unless it is given: the next one is to go
 */
export const Turn = { waiting: 0, asked: 1, given: 2, calledOff: 3 } as const;

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
   * Says that rows are about to come, so that their instance wakes up while they are copied. A hint: whoever
   * misses it is woken by `ring`, which follows.
   */
  announceRows(): void {
    atomics.store(this.words, this.layout.coming, 1);
    const leader = this.leader;
    if (leader === -1) this.wakeParked();
    else if (this.state(leader) === State.parked) this.wake(leader);
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

  /** How often `wake` was called, modulo 2^32. */
  get wakes(): number {
    let wakes = 0;
    for (let i = 0; i < this.shape.instances; i++) wakes += this.wakeSeen(i);
    return wakes >>> 0;
  }

  /** How often another model was put in place. */
  get reloads(): number {
    return atomics.load(this.words, this.layout.reloads);
  }

  set reloads(reloads: number) {
    atomics.store(this.words, this.layout.reloads, reloads);
  }

  // ---- a line changes hands: see Turn
  // ------------------------------------------------------------------------------------

  /**
   * Owner: a thread with this ticket, larger than all before, is being made for the line. Threads that were
   * called off have ended before.
   */
  announce(instance: number, ticket: number): void {
    atomics.store(this.words, this.#turn(instance), (ticket << 2) | Turn.waiting);
  }

  /** Owner: whoever has the line is to give it to the thread that was announced. */
  ask(instance: number, ticket: number): void {
    atomics.store(this.words, this.#turn(instance), (ticket << 2) | Turn.asked);
    // After the store: it looks again before it sleeps.
    this.wake(instance);
  }

  /** Owner: the thread with this ticket is not to have the line. False if it has it already. */
  callOff(instance: number, ticket: number): boolean {
    const at = this.#turn(instance);
    for (;;) {
      const word = atomics.load(this.words, at);
      if (word === ((ticket << 2) | Turn.given)) return false;
      const over = (ticket << 2) | Turn.calledOff;
      if (atomics.compareExchange(this.words, at, word, over) !== word) continue;
      atomics.notify(this.words, at);
      return true;
    }
  }

  /** Owner: wakes whoever was given the line; the one that gave it may have died before it came to that. */
  tellTurn(instance: number): void {
    atomics.notify(this.words, this.#turn(instance));
  }

  /** Whether the line was given to the thread with this ticket. */
  isGiven(instance: number, ticket: number): boolean {
    return atomics.load(this.words, this.#turn(instance)) === ((ticket << 2) | Turn.given);
  }

  /** Whether the thread that has the line is to give it away. */
  isAsked(instance: number): boolean {
    return (atomics.load(this.words, this.#turn(instance)) & 3) === Turn.asked;
  }

  /**
   * Gives the line away, if that is asked: from here on it is the other thread's. Called by the one that has
   * the line, or by the owner in the name of one that died. False if nobody is to have it any more.
   */
  give(instance: number): boolean {
    const at = this.#turn(instance);
    const word = atomics.load(this.words, at);
    if ((word & 3) !== Turn.asked) return false;
    const given = (word & ~3) | Turn.given;
    if (atomics.compareExchange(this.words, at, word, given) !== word) return false;
    atomics.notify(this.words, at);
    return true;
  }

  /**
   * Waits until the line is given to the thread with this ticket; false if it is not to have it. If another
   * one has been announced meanwhile, the line was given to this one first.
   */
  awaitTurn(instance: number, ticket: number): boolean {
    const at = this.#turn(instance);
    for (;;) {
      const word = atomics.load(this.words, at);
      if (word >>> 2 !== ticket || (word & 3) === Turn.given) return true;
      if ((word & 3) === Turn.calledOff) return false;
      atomics.wait(this.words, at, word);
    }
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

  /** Whether rows were announced that nobody has taken notice of yet. */
  takeComing(): boolean {
    const at = this.layout.coming;
    return atomics.load(this.words, at) !== 0 && atomics.exchange(this.words, at, 0) !== 0;
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

  #turn(instance: number): number {
    return this.line(instance) + InstanceWord.turn;
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
