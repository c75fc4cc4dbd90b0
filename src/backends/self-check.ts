/**
 * Whether a batch gives each of its rows what that row gives alone. An exporter may have mixed up the axes,
 * an operator may look at the whole batch, an engine's kernel for one size may be wrong: nobody would notice,
 * but every answer would depend on who else asked. Runs once for a model, on the thread of instance 0, before
 * the model serves.
 */

import { dtypeName } from "../onnx/dtypes.ts";
import { TP_ERR_DEAD, TP_ERR_DEVICE, TP_OK } from "../native/abi.ts";
import type { CheckReport, RowCheck, StartMessage } from "../protocol.ts";
import type { Engine } from "./engine.ts";
import type { OwnRows } from "./own-rows.ts";
import { difference, elementBytes, fillSample, randomNumbers } from "./samples.ts";

/** Rows that differ; later ones repeat them. */
const DISTINCT_ROWS = 16;
/** Once this has passed, no further batch size is tried. */
const SEARCH_MS_MAX = 5000;

/** Outputs of one row. */
type Outputs = readonly Uint8Array[];

/** Checks, on seeded samples in rows of their own. Throws where device or instance are gone. */
export function checkRows(engine: Engine, start: StartMessage, check: RowCheck): CheckReport {
  const inputs = start.inputs.length;
  const outputs = check.dtypes.slice(inputs);
  return engine.onOwnRows(check.maxRows, (own) => {
    for (let input = 0; input < inputs; input++) fill(own, input, check.dtypes[input]);
    return new RowChecker(own, outputs, check.tolerance).run();
  });
}

function fill(own: OwnRows, input: number, dtype: number): void {
  for (let row = 0; row < own.count; row++) {
    const to = own.place(input, row);
    if (row < DISTINCT_ROWS) fillSample(to, dtype, randomNumbers(input * DISTINCT_ROWS + row));
    else to.set(own.place(input, row % DISTINCT_ROWS));
  }
}

/** A run on samples failed; what it says may be true of samples alone. */
class SampleError extends Error {}

class RowChecker {
  readonly #own: OwnRows;
  /** TP_* numbers of the outputs. */
  readonly #dtypes: readonly number[];
  readonly #tolerance: number;
  readonly #alone = new Map<number, Outputs>();

  constructor(own: OwnRows, dtypes: readonly number[], tolerance: number) {
    this.#own = own;
    this.#dtypes = dtypes;
    this.#tolerance = tolerance;
  }

  run(): CheckReport {
    const all = this.#own.count;
    try {
      const again = this.#compare(this.#batch([0], [0])[0], this.#rowAlone(0));
      if (again !== null) return this.#unsure(`the same row gives ${this.#name(again.output)} that differ`);
      const first = this.#wrongIn(all);
      if (first === null) return { rows: all, wrong: null, unsure: "" };
      if (this.#changes(first.row)) return this.#unsure("the same batch gives outputs that differ");
      return { rows: this.#largestRight(), wrong: first, unsure: "" };
    } catch (error) {
      if (!(error instanceof SampleError)) throw error;
      return this.#unsure(`a run on samples failed: ${error.message}`);
    }
  }

  #unsure(why: string): CheckReport {
    return { rows: this.#own.count, wrong: null, unsure: why };
  }

  #name(output: number): string {
    return `values of output ${output} (${dtypeName(this.#dtypes[output])})`;
  }

  /** The largest batch that is right, by halves; 1 is by definition. */
  #largestRight(): number {
    const untilMs = performance.now() + SEARCH_MS_MAX;
    for (let rows = this.#own.count >> 1; rows > 1 && performance.now() < untilMs; rows >>= 1) {
      if (this.#wrongIn(rows) === null) return rows;
    }
    return 1;
  }

  /** The first row of a batch that differs from itself alone; first, middle and last are looked at. */
  #wrongIn(batch: number): CheckReport["wrong"] {
    const rows = [...new Set([0, batch >> 1, batch - 1])];
    const together = this.#batch(slots(batch), rows);
    for (const [i, row] of rows.entries()) {
      const found = this.#compare(together[i], this.#rowAlone(row));
      if (found !== null) return { batch, row, ...found };
    }
    return null;
  }

  /** Whether a row of the largest batch is another one each time. */
  #changes(row: number): boolean {
    const all = slots(this.#own.count);
    const [[first], [second]] = [this.#batch(all, [row]), this.#batch(all, [row])];
    return this.#compare(first, second) !== null;
  }

  #rowAlone(row: number): Outputs {
    let outputs = this.#alone.get(row);
    if (outputs === undefined) [outputs] = this.#batch([row], [0]);
    this.#alone.set(row, outputs);
    return outputs;
  }

  /** Runs the rows in these slots as one batch; copies the outputs of those at `places` in it. */
  #batch(inSlots: readonly number[], places: readonly number[]): Outputs[] {
    const status = this.#own.run(inSlots);
    if (status === TP_ERR_DEAD || status === TP_ERR_DEVICE) throw this.#own.failure(status);
    if (status !== TP_OK) throw new SampleError(this.#own.failure(status).message);
    const outputs = places.map((row) =>
      this.#dtypes.map((dtype, output) =>
        this.#own.copyOutput(output, row, inSlots[row], elementBytes(dtype)),
      ),
    );
    this.#own.release(inSlots.length);
    return outputs;
  }

  #compare(a: Outputs, b: Outputs): { output: number; by: number; allowed: number } | null {
    for (const [output, dtype] of this.#dtypes.entries()) {
      const found = difference(a[output], b[output], dtype, this.#tolerance);
      if (found !== null) return { output, ...found };
    }
    return null;
  }
}

function slots(count: number): number[] {
  return Array.from({ length: count }, (_, slot) => slot);
}
