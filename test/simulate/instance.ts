/** An instance thread: production's loop around an engine that checks each batch, and dies now and then. */

import { CounterWord } from "../../src/memory/layout.ts";
import { Outcome, Phase, ownerOf, generationOf, phaseOf } from "../../src/memory/slot.ts";
import { State } from "../../src/memory/pool.ts";
import { REASONS } from "../../src/scheduler/decide.ts";
import { serve } from "../../src/scheduler/instance.ts";
import type { RunOutcome } from "../../src/scheduler/instance.ts";
import type { Batch } from "../../src/scheduler/queue.ts";
import { Report, Row } from "./books.ts";
import type { Books } from "./books.ts";
import { SLOTS_MAX } from "./plan.ts";
import type { Stage } from "./stage.ts";
import { Stopped } from "./world.ts";
import type { World } from "./world.ts";

const EXEC_FAILED = 5;
const DEVICE_LOST = 9;
/** In a row's second word. */
export const POISON = 1;

export class Instance {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #books: Books;
  readonly #me: number;
  /** The batch counters as they were before the last batch. */
  #counted: Int32Array;
  #reasons = 0;

  constructor(world: World, stage: Stage, books: Books, me: number) {
    this.#world = world;
    this.#stage = stage;
    this.#books = books;
    this.#me = me;
    this.#counted = this.#counters();
  }

  /** Starts when the supervisor says so, until the pipe is closed. */
  play(): void {
    const { command, alive } = this.#books;
    for (;;) {
      while (command[this.#me] === 0) {
        if (this.#books.closed) return;
        this.#world.awaitMail();
      }
      command[this.#me] = 0;
      alive[this.#me] = 1;
      this.#world.mortal = true;
      try {
        this.#live();
      } catch (error) {
        if (!(error instanceof Stopped)) throw error;
        this.#world.revive();
      }
      this.#world.mortal = false;
      alive[this.#me] = 0;
      this.#tell(Report.exited);
    }
  }

  /** As src/worker.ts does it once the engine is there. */
  #live(): void {
    const { plan, pool, channels } = this.#stage;
    const { shape, batchingTimeoutMs, spinUs } = plan;
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
      wakeWatchdog: () => this.#tell(Report.running),
    });
    this.#checkReason();
    this.#tell(Report.closed);
  }

  #tell(report: number): void {
    this.#books.outbox[this.#me] |= report;
    this.#world.threads.mail(0);
  }

  readonly #execute = (batch: Batch, from: number, rows: number): RunOutcome => {
    const isWhole = from === 0 && rows === batch.rows && this.#books.batchRows[this.#me] !== 0;
    if (isWhole) this.#beginBatch(batch);
    for (let row = from; row < from + rows; row++) this.#checkRow(batch, row);
    this.#world.sleep(this.#world.random.fraction() * this.#stage.plan.runMs);
    for (let row = from; row < from + rows; row++) this.#checkRow(batch, row);
    return this.#answer(batch, from, rows);
  };

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
      phaseOf(word) === Phase.taken &&
      ownerOf(word) === this.#me &&
      generationOf(word) === generations[row] &&
      this.#books.state[name] === Row.taken;
    if (!isMine) this.#world.fail(`instance ${this.#me} runs row ${name}, which is not its own`);
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
    for (let i = 0; i < (isFinal ? rows : 0); i++) {
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
