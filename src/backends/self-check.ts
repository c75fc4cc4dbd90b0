/**
 * Whether a batch gives each of its rows what that row gives alone. An exporter may have mixed up the axes,
 * an operator may look at the whole batch, an engine's kernel for one size may be wrong: nobody would notice,
 * but every answer would depend on who else asked. Runs once for a model, on the thread of instance 0, before
 * the model serves.
 */

import { dtypeName } from "../onnx/dtypes.ts";
import { payloadOffsets } from "../memory/layout.ts";
import { TP_ERR_DEAD, TP_ERR_DEVICE, TP_OK } from "../native/abi.ts";
import type { CheckReport, RowCheck, StartMessage } from "../protocol.ts";
import type { Engine } from "./engine.ts";
import { difference, elementBytes, fillSample, randomNumbers } from "./samples.ts";

/** Rows that differ; later ones repeat them. */
const DISTINCT_ROWS = 16;
/** Once this has passed, no further batch size is tried. */
const SEARCH_MS_MAX = 5000;

/** Outputs of one row. */
type Outputs = readonly Uint8Array[];

/** Checks, on seeded samples in slots of their own. Throws where device or instance are gone. */
export function checkRows(engine: Engine, start: StartMessage, check: RowCheck): CheckReport {
  return engine.onOwnRows(check.maxRows, (payload) => {
    const places = placesOf(payload, start, check);
    const inputs = places.slice(0, start.inputs.length);
    for (const place of inputs) fill(place, check.maxRows);
    return new RowChecker(engine, places.slice(inputs.length), check.maxRows, check.tolerance).run();
  });
}

/** Where the rows of one tensor lie. */
interface Place {
  bytes: Uint8Array;
  stride: number;
  dtype: number;
  /** Among the inputs, or the outputs. */
  index: number;
}

function placesOf(payload: Uint8Array, { shape, inputs }: StartMessage, check: RowCheck): Place[] {
  const { offsets } = payloadOffsets(shape.strideBytes, check.maxRows);
  // Behind the tensors, slots may have what is said of device memory.
  return shape.strideBytes.slice(0, check.dtypes.length).map((stride, k) => {
    const bytes = payload.subarray(offsets[k], offsets[k] + check.maxRows * stride);
    return { bytes, stride, dtype: check.dtypes[k], index: k < inputs.length ? k : k - inputs.length };
  });
}

function fill(place: Place, rows: number): void {
  const { bytes, stride, dtype, index } = place;
  const distinct = Math.min(rows, DISTINCT_ROWS);
  for (let row = 0; row < distinct; row++) {
    fillSample(rowOf(place, row), dtype, randomNumbers(index * DISTINCT_ROWS + row));
  }
  for (let row = distinct; row < rows; row++) {
    const from = (row % DISTINCT_ROWS) * stride;
    bytes.copyWithin(row * stride, from, from + stride);
  }
}

function rowOf({ bytes, stride }: Place, row: number): Uint8Array {
  return bytes.subarray(row * stride, (row + 1) * stride);
}

/** A run on samples failed; what it says may be true of samples alone. */
class SampleError extends Error {}

class RowChecker {
  readonly #engine: Engine;
  readonly #outputs: readonly Place[];
  readonly #maxRows: number;
  readonly #tolerance: number;
  readonly #alone = new Map<number, Outputs>();

  constructor(engine: Engine, outputs: readonly Place[], maxRows: number, tolerance: number) {
    this.#engine = engine;
    this.#outputs = outputs;
    this.#maxRows = maxRows;
    this.#tolerance = tolerance;
  }

  run(): CheckReport {
    const all = this.#maxRows;
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
    return { rows: this.#maxRows, wrong: null, unsure: why };
  }

  #name(output: number): string {
    return `values of output ${output} (${dtypeName(this.#outputs[output].dtype)})`;
  }

  /** The largest batch that is right, by halves; 1 is by definition. */
  #largestRight(): number {
    const untilMs = performance.now() + SEARCH_MS_MAX;
    for (let rows = this.#maxRows >> 1; rows > 1 && performance.now() < untilMs; rows >>= 1) {
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
    const all = slots(this.#maxRows);
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
    const status = this.#engine.runSlots(inSlots);
    if (status === TP_ERR_DEAD || status === TP_ERR_DEVICE) throw this.#engine.failure(status);
    if (status !== TP_OK) throw new SampleError(this.#engine.failure(status).message);
    const outputs = places.map((row) =>
      this.#outputs.map((place) => {
        const bytes = rowOf(place, inSlots[row]);
        return this.#engine.copyOutput(place.index, row, bytes, elementBytes(place.dtype));
      }),
    );
    this.#engine.releaseRows(inSlots.length);
    return outputs;
  }

  #compare(a: Outputs, b: Outputs): { output: number; by: number; allowed: number } | null {
    for (const { index, dtype } of this.#outputs) {
      const found = difference(a[index], b[index], dtype, this.#tolerance);
      if (found !== null) return { output: index, ...found };
    }
    return null;
  }
}

function slots(count: number): number[] {
  return Array.from({ length: count }, (_, slot) => slot);
}
