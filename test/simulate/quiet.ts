/**
 * What must hold whenever nobody has anything to do but wait: then everybody waits for good reason. This is
 * where lost wake-ups and deadlocks show, although a timeout would end them later.
 */

import { InstanceWord } from "../../src/memory/layout.ts";
import { Gate, Turn } from "../../src/memory/pool.ts";
import { Outcome, Phase, outcomeOf, phaseOf } from "../../src/memory/slot.ts";
import { INTERRUPT_MS } from "../../src/scheduler/watchdog.ts";
import { Row } from "./books.ts";
import type { Books } from "./books.ts";
import type { Rows } from "./rows.ts";
import type { Stage } from "./stage.ts";
import { POOL, WordNames } from "./words.ts";
import { Status } from "./threads.ts";
import type { World } from "./world.ts";

/** A leader's deadline is some accesses later than the timeout that it is for. */
const LATE_STEPS = 50;
const LATE_MS = 2;
/** The owner may have much to do between two turns of its event loop. */
const NOTICE_MS = 20;

export class Quiet {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #books: Books;
  readonly #rows: Rows;

  constructor(world: World, stage: Stage, books: Books, rows: Rows) {
    this.#world = world;
    this.#stage = stage;
    this.#books = books;
    this.#rows = rows;
  }

  readonly check = (): void => {
    // A pipe that gave up leaves everything as it is.
    const wrong = this.#books.hopeless ? null : (this.#callers() ?? this.#lines() ?? this.#instances());
    if (wrong !== null) this.#world.fail(`everybody waits: ${wrong}`);
  };

  #lines(): string | null {
    return this.#turns() ?? this.#hung();
  }

  /** A call that hangs was noticed in time. */
  #hung(): string | null {
    const { pool, plan } = this.#stage;
    for (let i = 0; i < plan.shape.instances && plan.runTimeoutMs > 0; i++) {
      if ((pool.words[pool.line(i) + InstanceWord.run] & 1) === 0) continue;
      const ranMs = this.#world.nowMs - pool.callStart(i)[0];
      if (ranMs > plan.runTimeoutMs + INTERRUPT_MS + NOTICE_MS + this.#lateMs) {
        return `the call of instance ${i} runs for ${ranMs.toFixed(1)} ms, and nobody gives it up`;
      }
    }
    return null;
  }

  /** Nobody sleeps on answers that are there. */
  #callers(): string | null {
    const { holder } = this.#books;
    const { plan } = this.#stage;
    for (const { index, control, layout } of this.#stage.channels) {
      const thread = holder[index];
      if (thread === -1 || this.#world.threads.statusOf(thread) !== Status.waiting) continue;
      const isBare = plan.callers[thread - 1 - plan.shape.instances] === "bare";
      if (isBare && this.#world.threads.keyOf(thread) !== WordNames.key(index + 1, layout.bell)) continue;
      for (let slot = 0; slot < plan.shape.slots; slot++) {
        const isTold = control[layout.done + (slot >>> 5)] & (1 << (slot & 31));
        const phase = phaseOf(control[layout.word + slot]);
        // Rows that are lost, or come back late, are no answers that anybody waits for.
        const isAnswered =
          phase === Phase.done && outcomeOf(control[layout.word + slot]) !== Outcome.callLost;
        if (isTold && isAnswered) {
          return `the caller of channel ${index}, although slot ${slot} is answered`;
        }
      }
    }
    return null;
  }

  /** A line that is asked for is given, and whoever was given it takes it. */
  #turns(): string | null {
    const { pool, plan } = this.#stage;
    const { tenant, busy } = this.#books;
    for (let i = 0; i < plan.shape.instances; i++) {
      if (!this.#books.lives(i)) continue;
      const at = pool.layout.instances + i * InstanceWord.words + InstanceWord.turn;
      const turn = pool.words[at] & 3;
      if (turn === Turn.asked && busy[i] === 0) return `instance ${i} keeps the line that it is asked for`;
      const sleeps = this.#world.threads.statusOf(tenant[i]) === Status.waiting;
      if (sleeps && this.#world.threads.keyOf(tenant[i]) === WordNames.key(POOL, at))
        return `the next thread of instance ${i}, although it has the line`;
    }
    return null;
  }

  /** No row waits that a rule lets go, and an instance that has nothing left to do when all closes ends. */
  #instances(): string | null {
    const { pool, plan } = this.#stage;
    const gate = pool.words[pool.layout.gate];
    const running = this.#rows.running();
    const idle = this.#idle(running);
    if (idle <= 0) return null;
    if (gate === Gate.shut) return running === 0 ? "an instance, although the gate is shut" : null;
    let rows = 0;
    let shapes = 0;
    let due = "";
    for (let shape = 0; shape < plan.shapes; shape++) {
      const [waiting, oldestMs] = this.#rows.waiting(shape, this.#isCounted);
      rows += waiting;
      if (this.#rows.waiting(shape)[0] > 0) shapes++;
      if (waiting >= plan.shape.maxRows) due = `a full batch of shape ${shape} waits`;
      else if (waiting > 0 && oldestMs + plan.batchingTimeoutMs + this.#lateMs < this.#world.nowMs) {
        due = `rows of shape ${shape} wait beyond the batching timeout`;
      }
    }
    if (rows > 0 && running === 0) return `${rows} rows wait, and no instance runs`;
    if (rows > 0 && gate === Gate.draining) return `${rows} rows wait while the pipe drains`;
    if (rows === 0 && running === 0 && gate === Gate.draining) return "an instance, although all is drained";
    // A shape without a list waits until another has gone; that a list was given up, nobody tells the leader.
    const lists = this.#books.gaveUp ? plan.shapes : shapes;
    return due === "" || lists > plan.shape.groups ? null : `an instance is idle, and ${due}`;
  }

  /** A leader that is held up between its decision and its sleep sleeps too long. */
  get #lateMs(): number {
    const { faults, stepMs } = this.#stage.plan;
    const isHeldUp = faults.lateOneIn > 0 || faults.freezeOneIn > 0;
    return isHeldUp ? Infinity : LATE_MS + LATE_STEPS * stepMs;
  }

  /** Instances that could run something. */
  #idle(running: number): number {
    let living = 0;
    for (let i = 0; i < this.#stage.plan.shape.instances; i++) if (this.#books.lives(i)) living++;
    return living - running;
  }

  /** Rows of a caller that died may never have been rung for. */
  readonly #isCounted = (channel: number): boolean => this.#books.isHeld(channel);

  /** When everybody has gone: every row has come to its end, and nothing is left taken. */
  finish(): void {
    const { state, rows, hopeless } = this.#books;
    const { pool, channels } = this.#stage;
    if (pool.words[pool.layout.lead] !== 0) this.#world.fail("somebody still leads when all is over");
    if (hopeless) return;
    const rowsOfDead = new Set<number>();
    for (let i = 0; i < this.#stage.plan.shape.instances; i++) {
      if (pool.words[pool.line(i) + InstanceWord.away] !== 0)
        this.#world.fail(`threads of instance ${i} are away`);
    }
    for (const { index, shape, control, layout } of channels) {
      // What came back after its caller had left is nobody's to free.
      const isFree = this.#rows.allFree(index, Outcome.callLost);
      if (!isFree && this.#books.isHeld(index))
        this.#world.fail(`channel ${index} is left with rows in flight`);
      for (let slot = 0; slot < shape.slots; slot++) {
        if (phaseOf(control[layout.word + slot]) === Phase.lost)
          this.#world.fail(`slot ${slot} of channel ${index} is kept, although its call is back`);
        rowsOfDead.add(this.#rows.rowAt(index, slot));
      }
    }
    for (let row = 1; row <= rows; row++) {
      const isOver = state[row] === Row.unborn || state[row] >= Row.answered;
      if (!isOver && !rowsOfDead.has(row)) this.#world.fail(`row ${row} came to no end`);
    }
  }
}
