/**
 * An instance's native calls as others see them. Its run word says whether one goes on, and which:
 *
 *   bit 0       a call goes on
 *   bits 1-23   number of the call
 *   bits 24-31  epoch: grows each time that the instance gets another thread
 *
 * Two parties want the end of a call: the instance's thread, when it returns, and the watchdog, when it
 * does not. Each tries one compare-exchange from the very value that the call began with, so one of them
 * has it. If that is the watchdog, the instance is another thread's from then on, and the late one touches
 * nothing of it but the rows that it still holds.
 */

import { atomics } from "./atomics.ts";
import { InstanceWord } from "./layout.ts";
import type { Pool } from "./pool.ts";

const CALLING = 1;
const CALL = 2;
const NUMBER_MASK = 0x00ff_ffff;
const EPOCH = 0x0100_0000;

/** The calls of the thread that has the instance; belongs to it. */
export class OwnCalls {
  readonly #pool: Pool;
  readonly #at: number;
  readonly #startedMs: Float64Array;
  #word: number;

  constructor(pool: Pool, instance: number) {
    this.#pool = pool;
    this.#at = pool.line(instance) + InstanceWord.run;
    this.#startedMs = pool.callStart(instance);
    this.#word = atomics.load(pool.words, this.#at);
  }

  /**
   * A call begins now: what names it, and whether somebody has to be told, since the watchdog sleeps. The
   * store comes before the look at whether it sleeps; the watchdog says so first and then looks at calls.
   */
  begin(nowMs: number): { run: number; isUnwatched: boolean } {
    const { words, layout } = this.#pool;
    this.#startedMs[0] = nowMs;
    this.#word = (this.#word & ~NUMBER_MASK) | ((this.#word + CALL) & NUMBER_MASK) | CALLING;
    atomics.store(words, this.#at, this.#word);
    const sleeps = atomics.load(words, layout.unwatched) !== 0;
    return {
      run: this.#word >>> 0,
      isUnwatched: sleeps && atomics.exchange(words, layout.unwatched, 0) !== 0,
    };
  }

  /** The call has returned. False: it was given up meanwhile, and the instance with it. */
  end(): boolean {
    const ended = this.#word & ~CALLING;
    return atomics.compareExchange(this.#pool.words, this.#at, this.#word, ended) === this.#word;
  }
}

/** A call that goes on. */
export interface Call {
  /** Its run word. */
  word: number;
  startedMs: number;
}

/** The call that an instance is in, or null. */
export function callOf(pool: Pool, instance: number): Call | null {
  const at = pool.line(instance) + InstanceWord.run;
  for (;;) {
    const word = atomics.load(pool.words, at);
    if ((word & CALLING) === 0) return null;
    const [startedMs] = pool.callStart(instance);
    // Only of a call that still goes on the time is surely its own.
    if (atomics.load(pool.words, at) === word) return { word, startedMs };
  }
}

/** Takes the instance from the thread that is in this call. False: the call has returned. */
export function giveUpCall(pool: Pool, instance: number, { word }: Call): boolean {
  const line = pool.line(instance);
  // First, so that a thread that comes back at once finds itself counted.
  atomics.add(pool.words, line + InstanceWord.away, 1);
  const next = nextEpoch(word);
  if (atomics.compareExchange(pool.words, line + InstanceWord.run, word, next) === word) return true;
  atomics.add(pool.words, line + InstanceWord.away, -1);
  return false;
}

/** The instance gets another thread, after the death of the one that had it. */
export function beginEpoch(pool: Pool, instance: number): void {
  const at = pool.line(instance) + InstanceWord.run;
  atomics.store(pool.words, at, nextEpoch(atomics.load(pool.words, at)));
}

/** A call that was given up has returned, and its rows are back. */
export function cameBack(pool: Pool, instance: number): void {
  atomics.add(pool.words, pool.line(instance) + InstanceWord.away, -1);
}

/** Threads of an instance that were given up and are still in their call. */
export function threadsAway(pool: Pool, instance: number): number {
  return atomics.load(pool.words, pool.line(instance) + InstanceWord.away);
}

function nextEpoch(word: number): number {
  return ((word & ~CALLING) + EPOCH) | 0;
}
