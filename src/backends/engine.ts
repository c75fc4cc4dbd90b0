/**
 * One instance of the loaded model, as the scheduler's loop uses it: a batch of slots in, an outcome out. All
 * backends look alike from here; which one runs was decided when the model was opened.
 */

import type { Channel } from "../memory/channel.ts";
import { payloadOffsets } from "../memory/layout.ts";
import type { MemoryShape } from "../memory/layout.ts";
import { Outcome } from "../memory/slot.ts";
import {
  BATCH_BYTES,
  BATCH_DIMS,
  BATCH_FLAGS,
  BATCH_NATIVE_OUTPUTS,
  BATCH_RESULT,
  BATCH_RUN,
  MAX_RANK,
  ROW_BYTES,
  ROW_CHANNEL,
  ROW_SLOT,
  ROW_STATUS,
  TP_BATCH_DIMS,
  TP_ERR_DEAD,
  TP_ERR_DEVICE,
  TP_ERR_EXECUTION,
  TP_ERR_MEMORY,
  TP_ERR_ROWS,
  TP_ERR_SPLIT,
  TP_OK,
} from "../native/abi.ts";
import type { Native } from "../native/library.ts";
import type { OpenDims, StartMessage } from "../protocol.ts";
import type { Execute, RunOutcome } from "../scheduler/instance.ts";
import type { Batch } from "../scheduler/queue.ts";

const SUCCESS: RunOutcome = { outcome: Outcome.ok, text: "", rows: null, retryable: false };
const RETRYABLE = new Set<number>([TP_ERR_EXECUTION, TP_ERR_SPLIT, TP_ERR_MEMORY]);

/** Bytes of a batch block for batches of up to `maxRows` rows. */
export function blockBytes(maxRows: number): number {
  return BATCH_BYTES + maxRows * ROW_BYTES;
}

/** An open dimension of an input: where it is kept in a slot, and where in the batch block. */
interface DimPlace {
  slotWord: number;
  blockWord: number;
}

export class Engine {
  readonly #native: Native;
  readonly #instance: number;
  readonly #channels: readonly Channel[];
  readonly #block: Int32Array<SharedArrayBuffer>;
  readonly #maxRows: number;
  readonly #shape: MemoryShape;
  readonly #openInputs: readonly DimPlace[];
  /**
   * First word in the block of each output whose item shape is open; a slot keeps MAX_RANK words for each.
   */
  readonly #openOutputs: readonly number[];

  constructor(native: Native, start: StartMessage, channels: readonly Channel[]) {
    const { shape } = start;
    this.#native = native;
    this.#channels = channels;
    this.#maxRows = shape.maxRows;
    this.#block = new Int32Array(start.block);
    this.#instance = native.createInstance(start.model, shape.maxRows, start.minRows);
    this.#shape = shape;
    this.#bindChannels();
    native.bindBatch(this.#instance, new Uint8Array(start.block));
    this.#openInputs = openPlaces(start.inputs);
    this.#openOutputs = start.outputs.flatMap((output, k) =>
      isOpen(output) ? [dimsWord(start.inputs.length + k)] : [],
    );
    this.#writeLargest(start.inputs);
  }

  /** Runs `runs` batches of one row and of the largest size. Throws what they failed with. */
  warmUp(runs: number): void {
    if (runs === 0) return;
    // On rows of their own: those in the slots may be somebody's.
    this.#bind([new SharedArrayBuffer(this.#payload(this.#maxRows).bytes)], this.#maxRows);
    this.#warmUp(runs);
    this.#bindChannels();
  }

  #warmUp(runs: number): void {
    for (const rows of new Set([1, this.#maxRows])) {
      for (let row = 0; row < rows; row++) this.#writeRow(row, 0, row);
      for (let run = 0; run < runs; run++) {
        const status = this.#native.run(this.#instance, rows);
        if (status !== TP_OK) throw this.#native.failure(status);
        for (let row = 0; row < rows && this.#block[BATCH_RESULT / 4] !== 0; row++) {
          this.#native.resultRelease(this.#block[BATCH_RESULT / 4] >>> 0);
        }
      }
    }
  }

  readonly execute: Execute = (batch, from, rows, run) => {
    this.#block[BATCH_RUN / 4] = run;
    for (let row = 0; row < rows; row++) {
      this.#writeRow(row, batch.channels[from + row], batch.slots[from + row]);
    }
    if (this.#openInputs.length > 0) this.#writeDims(batch, from);
    const status = this.#native.run(this.#instance, rows);
    if (status !== TP_OK) return this.#failure(status, rows);
    if (this.#openOutputs.length > 0) this.#readOutputs(batch, from, rows);
    return SUCCESS;
  };

  get handle(): number {
    return this.#instance;
  }

  destroy(): void {
    this.#native.destroyInstance(this.#instance);
  }

  #bindChannels(): void {
    const payloads = this.#channels.map(({ payload }) => payload);
    this.#bind(payloads, this.#shape.slots);
  }

  /** Says where the rows lie, in place of what was said before. */
  #bind(payloads: readonly SharedArrayBuffer[], slots: number): void {
    const { strideBytes } = this.#shape;
    const { offsets } = this.#payload(slots);
    this.#native.bindLayout(this.#instance, bigints(offsets), bigints(strideBytes));
    payloads.forEach((payload, index) => {
      this.#native.bindChannel(this.#instance, index, new Uint8Array(payload), slots);
    });
  }

  #payload(slots: number): ReturnType<typeof payloadOffsets> {
    return payloadOffsets(this.#shape.strideBytes, slots);
  }

  #writeRow(row: number, channel: number, slot: number): void {
    const at = (BATCH_BYTES + row * ROW_BYTES) / 4;
    this.#block[at + ROW_CHANNEL / 4] = channel;
    this.#block[at + ROW_SLOT / 4] = slot;
  }

  /** All rows of a batch have the same item shapes, so those of its first row stand for all. */
  #writeDims(batch: Batch, from: number): void {
    const { control, layout, shape } = this.#channels[batch.channels[from]];
    const dims = layout.inputDims + batch.slots[from] * shape.inputDims;
    for (const { slotWord, blockWord } of this.#openInputs) this.#block[blockWord] = control[dims + slotWord];
  }

  /**
   * Fixed dimensions stay in the block for good; open ones start at their largest, which the warm-up uses.
   */
  #writeLargest(inputs: readonly OpenDims[]): void {
    if (this.#openInputs.length === 0) return;
    this.#block[BATCH_FLAGS / 4] = TP_BATCH_DIMS;
    inputs.forEach(({ largest }, k) => largest?.forEach((dim, d) => (this.#block[dimsWord(k) + d] = dim)));
  }

  #readOutputs(batch: Batch, from: number, rows: number): void {
    const result = this.#block[BATCH_RESULT / 4];
    const nativeOutputs = this.#block[BATCH_NATIVE_OUTPUTS / 4];
    for (let row = 0; row < rows; row++) {
      const { control, layout, shape } = this.#channels[batch.channels[from + row]];
      const slot = batch.slots[from + row];
      let to = layout.outputDims + slot * shape.outputDims;
      for (const at of this.#openOutputs) {
        for (let d = 0; d < MAX_RANK; d++) control[to++] = this.#block[at + d];
      }
      control[layout.result + slot] = result;
      control[layout.resultRow + slot] = row;
      control[layout.nativeOutputs + slot] = nativeOutputs;
    }
  }

  #failure(status: number, rows: number): RunOutcome {
    // Ends this thread: the supervisor answers its rows, replaces it, and counts how often that was needed.
    if (status === TP_ERR_DEAD) throw this.#native.failure(status);
    const text = this.#native.lastError();
    const retryable = RETRYABLE.has(status);
    if (status !== TP_ERR_ROWS) return { outcome: -status, text, rows: null, retryable };
    const outcomes = new Int32Array(rows);
    let lost = false;
    for (let row = 0; row < rows; row++) {
      const rowStatus = this.#block[(BATCH_BYTES + row * ROW_BYTES + ROW_STATUS) / 4];
      outcomes[row] = -rowStatus;
      lost ||= rowStatus === TP_ERR_DEVICE;
    }
    if (this.#openOutputs.length > 0 && !lost)
      return { outcome: -TP_ERR_EXECUTION, text, rows: null, retryable: true };
    return { outcome: -status, text, rows: outcomes, retryable: false };
  }
}

function dimsWord(tensor: number): number {
  return BATCH_DIMS / 4 + tensor * MAX_RANK;
}

function isOpen({ shape }: OpenDims): boolean {
  return shape === null || shape.includes(-1);
}

function openPlaces(inputs: readonly OpenDims[]): DimPlace[] {
  const places: DimPlace[] = [];
  inputs.forEach(({ shape }, k) => {
    shape?.forEach((dim, d) => {
      if (dim === -1) places.push({ slotWord: places.length, blockWord: dimsWord(k) + d });
    });
  });
  return places;
}

function bigints(values: readonly number[]): BigUint64Array {
  return BigUint64Array.from(values, BigInt);
}
