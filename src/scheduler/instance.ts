/**
 * One instance's loop, on its own thread: lead, take a batch, give the lead up, run the batch, answer its
 * rows, again.
 */

import { Outcome, isWith } from "../memory/slot.ts";
import { atomics } from "../memory/atomics.ts";
import { OwnCalls, cameBack } from "../memory/calls.ts";
import type { Channel } from "../memory/channel.ts";
import { CounterF64, CounterWord } from "../memory/layout.ts";
import type { Words } from "../memory/atomics.ts";
import { State } from "../memory/pool.ts";
import type { Pool } from "../memory/pool.ts";
import { Spin } from "../memory/spin.ts";
import type { Limits } from "./decide.ts";
import { End, Lead } from "./lead.ts";
import type { Batch } from "./queue.ts";

/**
 * Runs rows `from` up to `from + rows` of a batch, under the name `run`. The answer tells each row's fate.
 */
export interface Execute {
  (batch: Batch, from: number, rows: number, run: number): RunOutcome;
}

export interface RunOutcome {
  /** Outcome of the whole run: Outcome.ok, or why all rows failed. */
  outcome: number;
  /** The engine's own words, for rows that failed. */
  text: string;
  /** Outcome of each row, when they differ; else null. */
  rows: Int32Array | null;
  /** A failed run may be repeated row by row: the failure may be one row's, and the device is sound. */
  retryable: boolean;
}

export interface InstanceOptions {
  pool: Pool;
  channels: readonly Channel[];
  me: number;
  limits: Limits;
  spinUs: number;
  nowMs: () => number;
  execute: Execute;
  /** Lets go of what a call that was given up has brought for a row. */
  discard: (batch: Batch, row: number) => void;
  /** Tells the watchdog, which sleeps, that there is something to look at. */
  wakeWatchdog: () => void;
}

/**
 * Serves until the pipe closes, and everything that waited by then has been answered; or until another thread
 * is to have this instance's line, which has it when this returns; or until a native call comes back that was
 * given up: then the instance is another thread's, and this one has nothing left to do.
 */
export function serve(options: InstanceOptions): void {
  const { pool, channels, me, limits, nowMs } = options;
  const lead = new Lead(pool, channels, me, limits, new Spin(options.spinUs), nowMs);
  const answers = new Answers(options);
  const batch: Batch = {
    rows: 0,
    channels: new Int32Array(limits.maxRows),
    slots: new Int32Array(limits.maxRows),
    generations: new Int32Array(limits.maxRows),
  };
  for (;;) {
    const leads = lead.acquire();
    const reason = leads ? lead.gather(batch) : End.asked;
    if (reason < 0) {
      if (leads) lead.give(State.idle);
      // Another one comes for what this one was woken for: the next to see the gate, who wakes the one after.
      pool.wakeParked();
      // The last access to the line, unless nobody is to have it any more.
      if (reason === End.closed || pool.give(me)) return;
      continue;
    }
    lead.give(State.running);
    if (!answers.run(batch, reason)) return;
    pool.setState(me, State.idle);
    // The rule `idle` has come true for whoever leads now, if nobody else runs.
    const leader = pool.leader;
    if (leader !== -1 && pool.running() === 0) pool.wake(leader);
  }
}

const TIMED_OUT: RunOutcome = { outcome: Outcome.timedOut, text: "", rows: null, retryable: false };

/** Runs a taken batch, tells every caller, and counts. */
class Answers {
  readonly #pool: Pool;
  readonly #channels: readonly Channel[];
  readonly #me: number;
  readonly #nowMs: () => number;
  readonly #execute: Execute;
  readonly #discard: InstanceOptions["discard"];
  readonly #wakeWatchdog: () => void;
  readonly #calls: OwnCalls;
  readonly #words: Words;
  readonly #counters: number;
  readonly #sums: Float64Array;
  readonly #maxRows: number;

  constructor(options: InstanceOptions) {
    this.#channels = options.channels;
    this.#me = options.me;
    this.#nowMs = options.nowMs;
    this.#execute = options.execute;
    this.#discard = options.discard;
    this.#wakeWatchdog = options.wakeWatchdog;
    this.#pool = options.pool;
    this.#calls = new OwnCalls(options.pool, options.me);
    this.#words = options.pool.words;
    this.#counters = options.pool.counters(options.me);
    this.#sums = options.pool.sums(options.me);
    // Of the counters' layout; `limits.maxRows` may be less.
    this.#maxRows = options.pool.shape.maxRows;
  }

  /** False if the instance was given up meanwhile. */
  run(batch: Batch, reason: number): boolean {
    const startMs = this.#nowMs();
    const answer = this.#call(batch, 0, batch.rows, startMs);
    if (answer === null) return this.#giveBack(batch, 0);
    this.#countWaits(batch, startMs);
    // Counted before anybody is told, so that who reads the counters after an answer finds it there.
    this.#sums[CounterF64.runMs] += this.#nowMs() - startMs;
    this.#words[this.#counters + CounterWord.batches]++;
    this.#words[this.#counters + CounterWord.rows] += batch.rows;
    this.#words[this.#counters + CounterWord.sizes + reason * (this.#maxRows + 1) + batch.rows]++;
    if (answer.outcome !== Outcome.ok && answer.retryable && batch.rows > 1) return this.#runAlone(batch);
    this.#settle(batch, 0, batch.rows, answer);
    return true;
  }

  /** One native call; null if it was given up before it returned. */
  #call(batch: Batch, from: number, rows: number, nowMs: number): RunOutcome | null {
    const { run, isUnwatched } = this.#calls.begin(nowMs);
    if (isUnwatched) this.#wakeWatchdog();
    try {
      const answer = this.#execute(batch, from, rows, run);
      return this.#calls.end() ? answer : null;
    } catch (error) {
      if (this.#calls.end()) throw error;
      return null;
    }
  }

  /**
   * A call that was given up has returned: the slots of its rows, and of those after it, can be used again.
   * Their callers were told before, so whatever came out of it counts for nothing. They may have gone, so it
   * is let go of here.
   */
  #giveBack(batch: Batch, from: number): false {
    for (let row = from; row < batch.rows; row++) {
      const channel = this.#channels[batch.channels[row]];
      const [slot, generation] = [batch.slots[row], batch.generations[row]];
      if (isWith(channel.wordOf(slot), this.#me, generation)) this.#discard(batch, row);
      if (!channel.giveBack(slot, this.#me, generation)) continue;
      this.#countStale();
      channel.ringCaller();
    }
    cameBack(this.#pool, this.#me);
    return false;
  }

  /**
   * The batch failed as a whole: each row once more on its own, so that one bad row does not fail its mates,
   * unless it is no longer wanted.
   */
  #runAlone(batch: Batch): boolean {
    for (let row = 0; row < batch.rows; row++) {
      const channel = this.#channels[batch.channels[row]];
      const nowMs = this.#nowMs();
      if (channel.isOver(batch.slots[row], nowMs)) {
        this.#settle(batch, row, 1, TIMED_OUT);
        continue;
      }
      this.#words[this.#counters + CounterWord.reruns]++;
      const answer = this.#call(batch, row, 1, nowMs);
      if (answer === null) return this.#giveBack(batch, row);
      this.#settle(batch, row, 1, answer);
    }
    return true;
  }

  /**
   * Answers rows: outcome into the slot word, done bits in as few writes as possible, one ring for each
   * caller.
   */
  #settle(batch: Batch, from: number, rows: number, answer: RunOutcome): void {
    let channel = this.#channels[batch.channels[from]];
    let bits = 0;
    let bitWord = batch.slots[from] >>> 5;
    for (let row = from; row < from + rows; row++) {
      const slot = batch.slots[row];
      const next = this.#channels[batch.channels[row]];
      if (next !== channel || slot >>> 5 !== bitWord) {
        if (bits !== 0) channel.markDone(bitWord, bits);
        if (next !== channel) channel.ringCaller();
        channel = next;
        bitWord = slot >>> 5;
        bits = 0;
      }
      const outcome = answer.rows === null ? answer.outcome : answer.rows[row - from];
      if (outcome !== Outcome.ok) channel.texts.write(slot, answer.text);
      if (channel.complete(slot, this.#me, batch.generations[row], outcome)) bits |= 1 << (slot & 31);
      else this.#countStale();
    }
    if (bits !== 0) channel.markDone(bitWord, bits);
    channel.ringCaller();
  }

  /** The one counter that two threads may write: one that serves, and one that comes back late. */
  #countStale(): void {
    atomics.add(this.#words, this.#counters + CounterWord.stale, 1);
  }

  #countWaits(batch: Batch, startMs: number): void {
    let waitMs = 0;
    for (let row = 0; row < batch.rows; row++) {
      waitMs += startMs - this.#channels[batch.channels[row]].entered[batch.slots[row]];
    }
    this.#sums[CounterF64.waitMs] += waitMs;
  }
}
