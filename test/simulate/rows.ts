/**
 * The life of each row: published, taken, answered, once each and by the right party; in its turn, in a
 * batch of its own shape, for a reason that holds.
 */

import { Reason, STARVATION_MS } from "../../src/scheduler/decide.ts";
import { Gate } from "../../src/memory/pool.ts";
import {
  GENERATION_MASK,
  Outcome,
  Phase,
  generationOf,
  outcomeOf,
  ownerOf,
  phaseOf,
} from "../../src/memory/slot.ts";
import { Row } from "./books.ts";
import type { Books } from "./books.ts";
import { SLOTS_MAX } from "./plan.ts";
import type { Stage } from "./stage.ts";
import { Word } from "./world-layout.ts";
import type { World } from "./world.ts";

export class Rows {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #books: Books;

  constructor(world: World, stage: Stage, books: Books) {
    this.#world = world;
    this.#stage = stage;
    this.#books = books;
  }

  /** A change of a slot word by this thread, which is `instance` or -1: what is wrong with it, or null. */
  slot(channel: number, slot: number, before: number, after: number, instance: number): string | null {
    const isCaller = this.#books.holder[channel] === this.#world.me;
    const [from, to] = [phaseOf(before), phaseOf(after)];
    if (from === Phase.free && to === Phase.queued) {
      const next = (generationOf(before) + 1) & GENERATION_MASK;
      if (generationOf(after) !== next) return "the generation grows by one";
      return isCaller ? this.#publish(channel, slot) : "only the caller publishes";
    }
    if (generationOf(after) !== generationOf(before)) return "the generation is another";
    if (to === Phase.free) {
      if (!isCaller) return "only the caller frees its slots";
      if (from === Phase.free) return null;
      return from === Phase.queued ? this.#withdraw(channel, slot) : this.#free(channel, slot, from);
    }
    if (from === Phase.queued && to === Phase.taken) {
      this.#books.slotThread[channel * SLOTS_MAX + slot] = this.#world.me;
      return this.#take(channel, slot, after, instance);
    }
    if (to === Phase.lost || from === Phase.lost) return this.#lose(channel, slot, before, after);
    if (from === Phase.taken && outcomeOf(after) === Outcome.callLost) {
      return this.#lose(channel, slot, before, after);
    }
    if (from === Phase.queued && to === Phase.done) return this.#expire(channel, slot, after, instance);
    if (from === Phase.taken && to === Phase.done)
      return this.#finish(channel, slot, before, after, instance);
    return "no such step";
  }

  /** Done bits: whoever sets one has answered the row before. */
  done(channel: number, word: number, before: number, after: number): string | null {
    const { control, layout } = this.#stage.channels[channel];
    let set = this.#isToldTwice ? 0 : after & ~before;
    while (set !== 0) {
      const bit = 31 - Math.clz32(set);
      set &= ~(1 << bit);
      const phase = phaseOf(control[layout.word + word * 32 + bit]);
      if (phase !== Phase.done && phase !== Phase.lost) {
        return `slot ${word * 32 + bit} is not done`;
      }
    }
    const isCaller = this.#books.holder[channel] === this.#world.me;
    if (before & ~after && !isCaller) return "the bits are the caller's";
    return null;
  }

  /** Whether an instance has rows that it did not answer. */
  hasTaken(instance: number): boolean {
    return this.#stage.channels.some(({ control, layout, shape }) => {
      const words = control.subarray(layout.word, layout.word + shape.slots);
      return words.some((word) => phaseOf(word) === Phase.taken && ownerOf(word) === instance);
    });
  }

  /** Whether all slots are free, or done with this outcome. */
  allFree(channel: number, outcome = -1): boolean {
    const { control, layout, shape } = this.#stage.channels[channel];
    for (let slot = 0; slot < shape.slots; slot++) {
      const word = control[layout.word + slot];
      const isDone = phaseOf(word) === Phase.done && outcomeOf(word) === outcome;
      if (phaseOf(word) !== Phase.free && !isDone) return false;
    }
    return true;
  }

  rowAt(channel: number, slot: number): number {
    return this.#books.slotRow[channel * SLOTS_MAX + slot];
  }

  /**
   * After an instance's death the supervisor sets done bits that may have been seen already; after a
   * caller's, its heir frees slots whose bit is still to come. Callers have to bear it.
   */
  get #isToldTwice(): boolean {
    const { words } = this.#world;
    if (this.#books.hasLost) return true;
    const { instanceDeaths, callerDeaths } = this.#stage.plan.faults;
    return words[Word.instanceDeaths] < instanceDeaths || words[Word.callerDeaths] < callerDeaths;
  }

  #publish(channel: number, slot: number): string | null {
    const { state, slotRow, rows, needs, served } = this.#books;
    const row = this.#stage.inputs[channel][this.#stage.inputAt(slot)];
    if (row < 1 || row > rows) return `its bytes say row ${row}, which does not exist`;
    if (state[row] !== Row.unborn) return `row ${row} was published before`;
    state[row] = Row.queued;
    needs[row] = served;
    slotRow[channel * SLOTS_MAX + slot] = row;
    return null;
  }

  #withdraw(channel: number, slot: number): string | null {
    this.#books.gaveUp = true;
    return this.#move(channel, slot, Row.queued, Row.withdrawn);
  }

  #free(channel: number, slot: number, from: number): string | null {
    if (from !== Phase.done) return "an instance has the row";
    const { control, layout } = this.#stage.channels[channel];
    const bit = control[layout.done + (slot >>> 5)] & (1 << (slot & 31));
    return bit === 0 || this.#isToldTwice
      ? this.#move(channel, slot, Row.done, Row.answered)
      : "its done bit is still set";
  }

  #finish(channel: number, slot: number, before: number, after: number, instance: number): string | null {
    const owner = ownerOf(before);
    const row = this.rowAt(channel, slot);
    const outcome = outcomeOf(after);
    if (instance === -1) {
      if (this.#world.me !== 0 || this.#books.lives(owner)) return "the instance lives";
      if (outcome !== Outcome.instanceLost) return `outcome ${outcome} of a dead instance`;
    } else {
      if (owner !== instance) return "it is another instance's";
      const isOver = outcome === Outcome.timedOut && this.#isOver(channel, slot);
      if (!isOver && outcome !== this.#books.verdict[row])
        return `the engine said ${this.#books.verdict[row]}`;
    }
    this.#books.verdict[row] = outcome;
    return this.#move(channel, slot, Row.taken, Row.done);
  }

  /** Taken -> Lost by the supervisor, Taken or Lost -> Done by the thread that comes back late. */
  #lose(channel: number, slot: number, before: number, after: number): string | null {
    const { slotThread, givenUp, verdict, playing } = this.#books;
    const holder = slotThread[channel * SLOTS_MAX + slot];
    if (givenUp[holder] === 0) return "its call was not given up";
    if (playing[holder] !== ownerOf(before) + 1) return "it is another instance's";
    verdict[this.rowAt(channel, slot)] = Outcome.callLost;
    const from = phaseOf(before) === Phase.lost ? Row.lost : Row.taken;
    if (phaseOf(after) === Phase.lost) {
      return this.#world.me === 0
        ? this.#move(channel, slot, from, Row.lost)
        : "only the supervisor does that";
    }
    if (this.#world.me !== holder) return "only the thread that ran it gives it back";
    if (outcomeOf(after) !== Outcome.callLost)
      return `outcome ${outcomeOf(after)} of a call that was given up`;
    return this.#move(channel, slot, from, Row.done);
  }

  /** A row whose deadline passed is answered by the leader, and runs no more. */
  #expire(channel: number, slot: number, after: number, instance: number): string | null {
    const { pool } = this.#stage;
    if (instance === -1 || pool.words[pool.layout.lead] !== instance + 1) return "only the leader does that";
    if (outcomeOf(after) !== Outcome.timedOut) return `outcome ${outcomeOf(after)} of a row that did not run`;
    if (!this.#isOver(channel, slot)) return "its deadline has not passed";
    this.#books.gaveUp = true;
    this.#books.verdict[this.rowAt(channel, slot)] = Outcome.timedOut;
    return this.#move(channel, slot, Row.queued, Row.done);
  }

  #isOver(channel: number, slot: number): boolean {
    const deadlineMs = this.#stage.channels[channel].deadlines[slot];
    return deadlineMs !== 0 && deadlineMs <= this.#world.nowMs;
  }

  #take(channel: number, slot: number, after: number, instance: number): string | null {
    const { pool } = this.#stage;
    const { batchRows, batchShape, batchReasons, busy } = this.#books;
    if (instance === -1 || ownerOf(after) !== instance) return "a row is taken for oneself alone";
    if (pool.words[pool.layout.lead] !== instance + 1) return "only the leader takes rows";
    const shape = this.#stage.shapeOf(channel, slot);
    if (batchRows[instance] === 0) {
      batchShape[instance] = shape;
      batchReasons[instance] = this.#reasons(shape);
      busy[instance] = 1;
      if (batchReasons[instance] === 0 && !this.#books.gaveUp) return "no rule lets it go yet";
    }
    if (++batchRows[instance] > this.#stage.plan.shape.maxRows) return "the batch is too large";
    if (batchShape[instance] !== shape) return `the batch has shape ${batchShape[instance]}, not ${shape}`;
    return this.#isFirst(channel, slot) ?? this.#move(channel, slot, Row.queued, Row.taken);
  }

  /**
   * Within a shape, one caller's rows go in the order in which they entered, those of higher priority first;
   * but one that has waited for too long goes before all younger ones.
   */
  #isFirst(channel: number, slot: number): string | null {
    const { control, layout, entered, shape } = this.#stage.channels[channel];
    const row = this.rowAt(channel, slot);
    const priority = control[layout.priority + slot];
    const mayStarve = this.#world.nowMs - entered[slot] >= STARVATION_MS;
    for (let other = 0; other < shape.slots; other++) {
      if (phaseOf(control[layout.word + other]) !== Phase.queued) continue;
      const earlier = this.rowAt(channel, other);
      if (entered[other] >= entered[slot]) continue;
      if (this.#stage.shapeOf(channel, other) !== this.#stage.shapeOf(channel, slot)) continue;
      const lower = control[layout.priority + other] - priority;
      if (lower > 0 || (lower < 0 && mayStarve)) continue;
      return `row ${earlier} in slot ${other} of the same shape entered before row ${row}`;
    }
    return null;
  }

  /** Which rules let a batch of this shape go now, one bit each. */
  #reasons(shape: number): number {
    const { pool, plan } = this.#stage;
    const { shape: sizes, batchingTimeoutMs } = plan;
    const gate = pool.words[pool.layout.gate];
    const [rows, oldestMs] = this.waiting(shape);
    let reasons = 0;
    if (rows >= sizes.maxRows) reasons |= 1 << Reason.full;
    if (gate === Gate.draining) reasons |= 1 << Reason.drain;
    if (this.running() === 0) reasons |= 1 << Reason.idle;
    if (oldestMs + batchingTimeoutMs <= this.#world.nowMs) reasons |= 1 << Reason.timeout;
    return reasons;
  }

  /** Rows of a shape that wait in all channels, and when the oldest entered. */
  waiting(shape: number, counts: (channel: number) => boolean = () => true): [number, number] {
    let rows = 0;
    let oldestMs = Infinity;
    for (const { index, control, layout, entered, shape: sizes } of this.#stage.channels) {
      if (!counts(index)) continue;
      for (let slot = 0; slot < sizes.slots; slot++) {
        if (phaseOf(control[layout.word + slot]) !== Phase.queued) continue;
        if (this.#stage.shapeOf(index, slot) !== shape) continue;
        rows++;
        oldestMs = Math.min(oldestMs, entered[slot]);
      }
    }
    return [rows, oldestMs];
  }

  /** Instances that have a batch, whatever their state words say. */
  running(): number {
    return this.#books.busy.reduce((sum, busy) => sum + busy, 0);
  }

  #move(channel: number, slot: number, from: number, to: number): string | null {
    const row = this.rowAt(channel, slot);
    const { state } = this.#books;
    if (state[row] !== from) return `row ${row} is ${state[row]}, not ${from}`;
    state[row] = to;
    return null;
  }
}
