/** An instance thread: production's loop around an engine that checks each batch, and dies now and then. */

import { CounterWord } from "../../src/memory/layout.ts";
import { Outcome, Phase, ownerOf, generationOf, phaseOf } from "../../src/memory/slot.ts";
import { State } from "../../src/memory/pool.ts";
import { REASONS } from "../../src/scheduler/decide.ts";
import { serve } from "../../src/scheduler/instance.ts";
import type { RunOutcome } from "../../src/scheduler/instance.ts";
import type { Batch } from "../../src/scheduler/queue.ts";
import { INTERRUPT_MS } from "../../src/scheduler/watchdog.ts";
import { Report, Row } from "./books.ts";
import type { Books } from "./books.ts";
import { SLOTS_MAX } from "./plan.ts";
import type { Stage } from "./stage.ts";
import { Word } from "./world-layout.ts";
import { Stopped } from "./world.ts";
import type { World } from "./world.ts";

const EXEC_FAILED = 5;
const DEVICE_LOST = 9;
/** Longest time until a model is loaded. */
const LOAD_MS = 5;
export const INTERRUPTED = 13;
/** Some hung calls end within the time that they are given for it, others long after. */
const HANG_MS_MAX = 1500;
const NEAR_MS = 3;
/** In a row's second word. */
export const POISON = 1;

export class Instance {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #books: Books;
  /** The batch counters as they were before the last batch. */
  #counted: Int32Array = new Int32Array(0);
  #reasons = 0;

  constructor(world: World, stage: Stage, books: Books) {
    this.#world = world;
    this.#stage = stage;
    this.#books = books;
  }

  get #me(): number {
    return this.#books.playing[this.#world.me] - 1;
  }

  get #isGivenUp(): boolean {
    return this.#books.givenUp[this.#world.me] !== 0;
  }

  /** Starts when the supervisor says so, until the pipe is closed. */
  play(): void {
    const { command, alive, playing, givenUp, asked } = this.#books;
    const { me } = this.#world;
    for (;;) {
      while (command[me] === 0) {
        if (this.#books.closed) return;
        this.#world.awaitMail();
      }
      playing[me] = command[me];
      command[me] = 0;
      givenUp[me] = 0;
      asked[me] = 0;
      alive[me] = 1;
      this.#world.mortal = true;
      try {
        this.#live();
      } catch (error) {
        if (!(error instanceof Stopped)) throw error;
        this.#world.revive();
      }
      this.#world.mortal = false;
      alive[me] = 0;
      playing[me] = 0;
      this.#tell(Report.exited);
    }
  }

  /** As src/worker.ts does it once the engine is there. */
  #live(): void {
    const { plan, pool, channels } = this.#stage;
    const { shape, batchingTimeoutMs, spinUs } = plan;
    const ticket = this.#books.ticket[this.#world.me];
    if (ticket !== 0) {
      this.#world.sleep(this.#world.random.fraction() * LOAD_MS);
      this.#tell(Report.prepared);
      if (!pool.awaitTurn(this.#me, ticket)) return this.#tell(Report.closed);
    }
    this.#counted = this.#counters();
    this.#reasons = 0;
    this.#books.batchRows[this.#me] = 0;
    pool.setState(this.#me, State.idle);
    this.#tell(Report.ready);
    serve({
      pool,
      channels,
      me: this.#me,
      limits: { maxRows: shape.maxRows, batchingTimeoutMs },
      spinUs,
      nowMs: () => this.#world.clockMs,
      execute: this.#execute,
      discard: () => {},
      wakeWatchdog: () => this.#tell(Report.running),
    });
    // Once the line is given away, or taken away, the counters are another's.
    if (this.#books.tenant[this.#me] === this.#world.me) this.#checkReason();
    this.#tell(Report.closed);
  }

  #tell(report: number): void {
    this.#books.outbox[this.#world.me] |= report;
    this.#world.threads.mail(0);
  }

  readonly #execute = (batch: Batch, from: number, rows: number, run: number): RunOutcome => {
    const isWhole = from === 0 && rows === batch.rows && this.#books.batchRows[this.#me] !== 0;
    if (isWhole) this.#beginBatch(batch);
    for (let row = from; row < from + rows; row++) this.#checkRow(batch, row);
    const isEnded = !this.#runs(run);
    for (let row = from; row < from + rows; row++) this.#checkRow(batch, row);
    return isEnded ? this.#ended(batch, from, rows) : this.#answer(batch, from, rows);
  };

  /** Takes the time of a call; false if it hung and ended because it was asked to. */
  #runs(run: number): boolean {
    const { random, words } = this.#world;
    const { faults, runMs } = this.#stage.plan;
    if (words[Word.hangs] <= 0 || !random.oneIn(faults.hangOneIn)) {
      this.#world.sleep(random.fraction() * runMs);
      return true;
    }
    words[Word.hangs]--;
    const isDeaf = !random.oneIn(3);
    // Some end at about the moment at which they are given up.
    const lateMs = this.#stage.plan.runTimeoutMs + INTERRUPT_MS + random.fraction() * NEAR_MS;
    const untilMs = this.#world.nowMs + (random.oneIn(3) ? lateMs : random.fraction() * HANG_MS_MAX);
    while (this.#world.nowMs < untilMs) {
      if (!isDeaf && this.#books.asked[this.#world.me] === (run | 0)) return false;
      this.#world.block(untilMs);
    }
    return true;
  }

  /** What the engine says of a run that was interrupted. */
  #ended(batch: Batch, from: number, rows: number): RunOutcome {
    const { verdict, slotRow } = this.#books;
    for (let i = from; i < from + rows && !this.#isGivenUp; i++) {
      verdict[slotRow[batch.channels[i] * SLOTS_MAX + batch.slots[i]]] = INTERRUPTED;
    }
    return { outcome: INTERRUPTED, text: "interrupted", rows: null, retryable: false };
  }

  #beginBatch(batch: Batch): void {
    const { batchRows, batchReasons } = this.#books;
    if (batchRows[this.#me] !== batch.rows) {
      this.#world.fail(`instance ${this.#me} took ${batchRows[this.#me]} rows and runs ${batch.rows}`);
    }
    this.#checkReason();
    this.#reasons = batchReasons[this.#me];
    batchRows[this.#me] = 0;
    const names = new Set(
      Array.from({ length: batch.rows }, (_, i) => batch.channels[i] * 65_536 + batch.slots[i]),
    );
    if (names.size !== batch.rows) this.#world.fail(`a batch of instance ${this.#me} has a row twice`);
  }

  /** The reason that was counted for the last batch is one that held when it was taken. */
  #checkReason(): void {
    const now = this.#counters();
    const changed = [...now.keys()].filter((i) => now[i] !== this.#counted[i]);
    this.#counted = now;
    if (this.#reasons === 0) return;
    const reason = Math.floor(changed[0] / (this.#stage.plan.shape.maxRows + 1));
    if (changed.length === 1 && (this.#reasons >> reason) & 1) return;
    if (this.#books.gaveUp) return;
    const held = REASONS.filter((_, bit) => (this.#reasons >> bit) & 1).join(", ");
    this.#world.fail(`a batch was counted as "${REASONS[reason]}", but what held was: ${held}`);
  }

  #counters(): Int32Array {
    const { pool, plan } = this.#stage;
    const from = pool.counters(this.#me) + CounterWord.sizes;
    return Int32Array.from(pool.words.subarray(from, from + REASONS.length * (plan.shape.maxRows + 1)));
  }

  /** The row is this instance's, and its bytes are those that were published. */
  #checkRow(batch: Batch, row: number): void {
    const { channels, slots, generations } = batch;
    const { control, layout } = this.#stage.channels[channels[row]];
    const word = control[layout.word + slots[row]];
    const name = this.#books.slotRow[channels[row] * SLOTS_MAX + slots[row]];
    const isMine =
      (phaseOf(word) === Phase.taken || (phaseOf(word) === Phase.lost && this.#isGivenUp)) &&
      ownerOf(word) === this.#me &&
      generationOf(word) === generations[row] &&
      (this.#books.state[name] === Row.taken || this.#books.state[name] === Row.lost);
    if (!isMine) this.#world.fail(`instance ${this.#me} runs row ${name}, which is not its own`);
    const [model, needed] = [this.#books.model[this.#world.me], this.#books.needs[name]];
    if (model < needed) this.#world.fail(`row ${name} came after model ${needed} and runs on model ${model}`);
    const input = this.#stage.inputs[channels[row]];
    if (input[this.#stage.inputAt(slots[row])] !== name) {
      this.#world.fail(`the bytes of row ${name} changed while instance ${this.#me} ran it`);
    }
  }

  /** The engine: an echo; a poisoned row fails, alone or with its batch. */
  #answer(batch: Batch, from: number, rows: number): RunOutcome {
    const { faults } = this.#stage.plan;
    const outcomes = new Int32Array(rows);
    const isLost = this.#world.random.oneIn(faults.batchOneIn);
    let failed = 0;
    for (let i = 0; i < rows; i++) {
      const isPoison = this.#echo(batch.channels[from + i], batch.slots[from + i]);
      outcomes[i] = isLost ? DEVICE_LOST : isPoison ? EXEC_FAILED : Outcome.ok;
      if (isPoison) failed++;
    }
    const byRow = !isLost && faults.failsByRow;
    const outcome = isLost ? DEVICE_LOST : failed > 0 && !byRow ? EXEC_FAILED : Outcome.ok;
    // A batch that may be repeated row by row has no verdict yet.
    const isFinal = byRow || isLost || failed === 0 || batch.rows === 1 || rows < batch.rows;
    const { verdict, slotRow } = this.#books;
    for (let i = 0; i < (isFinal && !this.#isGivenUp ? rows : 0); i++) {
      verdict[slotRow[batch.channels[from + i] * SLOTS_MAX + batch.slots[from + i]]] = outcomes[i];
    }
    return { outcome, text: "poison", rows: byRow ? outcomes : null, retryable: !isLost };
  }

  #echo(channel: number, slot: number): boolean {
    const input = this.#stage.inputs[channel];
    const output = this.#stage.outputs[channel];
    const [from, to] = [this.#stage.inputAt(slot), this.#stage.outputAt(slot)];
    output[to] = input[from];
    output[to + 1] = ~input[from];
    output[to + 2] = this.#stage.shapeOf(channel, slot);
    output[to + 3] = this.#me;
    return input[from + 1] === POISON;
  }
}
