/**
 * Leading: exactly one idle instance looks at all channels, decides, takes a batch for itself and gives the
 * lead up before it runs. Nobody hands work to anybody, and idle instances never split a batch between them.
 *
 * No wake-up is lost:
 * - A caller sets its pending bit, then reads the lead. The holder of the lead stores 0, then reads the
 *   pending bits. One of the two sees the other's write: either the caller wakes the new state of affairs, or
 *   the one that gave the lead up does.
 * - A leader reads its wake word, looks, and sleeps only while the word has not grown.
 */

import { atomics } from "../memory/atomics.ts";
import type { Channel } from "../memory/channel.ts";
import { Gate, State } from "../memory/pool.ts";
import type { Pool } from "../memory/pool.ts";
import type { Spin } from "../memory/spin.ts";
import { decide } from "./decide.ts";
import type { Limits, Waiting } from "./decide.ts";
import { Queue } from "./queue.ts";
import type { Batch } from "./queue.ts";

/**
 * Why no batch is taken any more: the pipe is closing and nothing waits, or another thread is to have this
 * instance's line. Reasons of batches are not below 0.
 */
export const End = { closed: -1, asked: -2 } as const;

export class Lead {
  readonly #pool: Pool;
  readonly #channels: readonly Channel[];
  readonly #queue: Queue;
  readonly #me: number;
  readonly #limits: Limits;
  readonly #spin: Spin;
  readonly #nowMs: () => number;
  /** Channels whose ring holds a shape that found no list. */
  #blocked: readonly Channel[] = [];
  /** Those of a look, which begins with an empty one. */
  readonly #ringing: Channel[] = [];

  constructor(
    pool: Pool,
    channels: readonly Channel[],
    me: number,
    limits: Limits,
    spin: Spin,
    nowMs: () => number,
  ) {
    this.#pool = pool;
    this.#channels = channels;
    this.#queue = new Queue(pool, channels);
    this.#me = me;
    this.#limits = limits;
    this.#spin = spin;
    this.#nowMs = nowMs;
  }

  /** Waits until this instance holds the lead; false if it is to give its line away instead. */
  acquire(): boolean {
    const pool = this.#pool;
    for (;;) {
      const seen = pool.wakeSeen(this.#me);
      if (pool.isAsked(this.#me)) return false;
      if (pool.tryLead(this.#me)) break;
      pool.setState(this.#me, State.parked);
      // Once more after saying so: whoever gave the lead up just before may not have seen this instance
      // parked.
      if (pool.tryLead(this.#me)) break;
      pool.sleep(this.#me, seen, Infinity);
      pool.setState(this.#me, State.idle);
    }
    pool.setState(this.#me, State.leading);
    if (pool.takeRebuild()) this.#blocked = this.#queue.rebuild();
    return true;
  }

  /**
   * While leading: waits until a batch may go and takes it. Returns the reason, or one of End. The caller
   * then gives the lead up.
   */
  gather(batch: Batch): number {
    for (;;) {
      const seen = this.#pool.wakeSeen(this.#me);
      if (this.#pool.isAsked(this.#me)) return End.asked;
      // The gate before the rings: a row that was published while it was open is seen here.
      const gate = this.#pool.gate;
      if (gate === Gate.shut) return End.closed;
      const draining = gate === Gate.draining;
      if (draining) this.#lookAtAll();
      else this.#look();
      const nowMs = this.#nowMs();
      const decision = decide(this.#waiting(nowMs), this.#limits, nowMs, this.#pool.running(), draining);
      if (decision.go) {
        this.#queue.take(decision.group, this.#limits.maxRows, this.#me, nowMs, batch);
        if (batch.rows === 0) continue;
        return decision.reason;
      }
      if (draining && this.#isEmpty()) return End.closed;
      this.#wait(seen, decision.waitMs);
    }
  }

  /**
   * What waits. A list that has become empty, by requests that were given up, is filled from the rings first,
   * and again if what came from there was given up too.
   */
  #waiting(nowMs: number): readonly Waiting[] {
    for (;;) {
      const waiting = this.#queue.waiting(nowMs);
      if (this.#blocked.length === 0 || waiting.every(({ rows }) => rows > 0)) return waiting;
      this.#look();
    }
  }

  #isEmpty(): boolean {
    return this.#blocked.length === 0 && this.#queue.isEmpty() && !this.#pool.hasPending();
  }

  /** Gives the lead up. The instance's new state is stored first, so that a new leader counts it right. */
  give(state: number): void {
    this.#pool.setState(this.#me, state);
    for (const channel of this.#blocked) this.#setPending(channel);
    const more = !this.#queue.isEmpty();
    this.#pool.dropLead();
    // After the store: see the head of this file.
    if (more || this.#pool.hasPending() || this.#pool.gate !== Gate.open) this.#pool.wakeParked();
  }

  /** Empties the rings of all channels that said they have something new. */
  #look(): void {
    const ringing = this.#takeRinging();
    if (ringing.length === 0) return;
    // What was announced is here: nobody is to poll for it any more.
    this.#pool.takeComing();
    this.#blocked = this.#queue.drain(ringing);
  }

  /** Callers may have published without having rung yet, and nobody waits for their bells any more. */
  #lookAtAll(): void {
    this.#takeRinging();
    this.#blocked = this.#queue.drain(this.#channels);
  }

  /** The channels that said so, and those whose ring kept rows at the last look; each once. */
  #takeRinging(): readonly Channel[] {
    const ringing = this.#ringing;
    // Setting its length takes longer than all of this function.
    while (ringing.length > 0) ringing.pop();
    for (const channel of this.#blocked) ringing.push(channel);
    const { pendingWords } = this.#pool.layout;
    for (let word = 0; word < pendingWords; word++) {
      if (this.#pool.pendingBits(word) === 0) continue;
      let bits = this.#pool.takePending(word);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits);
        bits &= ~(1 << bit);
        const channel = this.#channels[word * 32 + bit];
        if (!this.#blocked.includes(channel)) ringing.push(channel);
      }
    }
    return ringing;
  }

  /** Polls while that pays, then sleeps. */
  #wait(seen: number, waitMs: number): void {
    const pool = this.#pool;
    // What was announced comes within a copy: that poll pays, whatever the last ones did.
    const announced = pool.takeComing();
    const budgetMs = Math.min(announced ? this.#spin.limitMs : this.#spin.begin(), waitMs);
    if (budgetMs > 0) {
      const found = this.#poll(seen, budgetMs);
      if (!announced) this.#spin.end(found);
      if (found || budgetMs === waitMs) return;
    }
    pool.setState(this.#me, State.parked);
    pool.sleep(this.#me, seen, waitMs - budgetMs);
    pool.setState(this.#me, State.leading);
  }

  /** Whether this instance's wake word has grown within `budgetMs`. */
  #poll(seen: number, budgetMs: number): boolean {
    const untilMs = this.#nowMs() + budgetMs;
    do {
      for (let look = 0; look < 16; look++) if (this.#pool.wakeSeen(this.#me) !== seen) return true;
    } while (this.#nowMs() < untilMs);
    return false;
  }

  #setPending(channel: Channel): void {
    const { words, layout } = this.#pool;
    atomics.or(words, layout.pending + (channel.index >>> 5), 1 << (channel.index & 31));
  }
}
