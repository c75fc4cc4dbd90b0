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
  BATCH_FLAGS,
  BATCH_NATIVE_OUTPUTS,
  BATCH_RESULT,
  BATCH_RUN,
  DEVICE_REF_BYTES,
  MAX_RANK,
  ROW_BYTES,
  ROW_STATUS,
  TP_BATCH_CLAIM,
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
import { claimRow, dimsWord, isOpen, writeRow } from "./batch-block.ts";
import { OwnRows } from "./own-rows.ts";

const SUCCESS: RunOutcome = { outcome: Outcome.ok, text: "", rows: null, retryable: false };
const UNREAD: RunOutcome = {
  outcome: -TP_ERR_EXECUTION,
  text: "an input is in device memory, and the backend that a reload() put in place takes host memory",
  rows: null,
  retryable: true,
};
const RETRYABLE = new Set<number>([TP_ERR_EXECUTION, TP_ERR_SPLIT, TP_ERR_MEMORY]);

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
  readonly #start: StartMessage;
  readonly #shape: MemoryShape;
  readonly #tensors: number;
  /** Whether slots say which of their inputs are in device memory, and the backend reads it. */
  readonly #hasDeviceRows: boolean;
  readonly #openInputs: readonly DimPlace[];
  /**
   * First word in the block of each output whose item shape is open; a slot keeps MAX_RANK words for each.
   */
  readonly #openOutputs: readonly number[];
  /**
   * Where slots say so although the backend takes host memory: after a reload. By channel, else empty.
   */
  readonly #deviceRecords: readonly Int32Array[];
  /** Outputs may stay in native memory, or do so in a device's. */
  readonly #hasResults: boolean;
  /** The C library has the address of their payload alone, so they are kept from being collected. */
  #own: OwnRows | null = null;

  constructor(native: Native, start: StartMessage, channels: readonly Channel[]) {
    const { shape } = start;
    this.#native = native;
    this.#channels = channels;
    this.#start = start;
    this.#block = new Int32Array(start.block);
    this.#instance = native.createInstance(start.model, shape.maxRows, start.minRows);
    this.#shape = shape;
    this.#tensors = start.inputs.length + start.outputs.length;
    this.#hasDeviceRows = start.deviceOutputs !== null;
    this.#deviceRecords = this.#unreadRecords();
    this.#bindChannels();
    native.bindBatch(this.#instance, new Uint8Array(start.block));
    this.#openInputs = openPlaces(start.inputs);
    this.#openOutputs = start.outputs.flatMap((output, k) =>
      isOpen(output) ? [dimsWord(start.inputs.length + k)] : [],
    );
    this.#hasResults = this.#openOutputs.length > 0 || start.deviceOutputs === true;
    this.#block[BATCH_FLAGS / 4] = TP_BATCH_CLAIM;
    this.#writeLargest(start.inputs);
  }

  /** Runs `runs` batches of one row and of `maxRows`. Throws what they failed with. */
  warmUp(runs: number, maxRows: number): void {
    if (runs > 0) this.onOwnRows(maxRows, (own) => warmUp(own, runs));
  }

  /**
   * Does `work` with rows of its own: those in the slots may be somebody's. If it throws, the instance is of
   * no use any more.
   */
  onOwnRows<T>(count: number, work: (own: OwnRows) => T): T {
    const own = new OwnRows(this.#native, this.#instance, this.#start, count);
    this.#own = own;
    this.#bind([this.#own.payload], count);
    const result = work(own);
    this.#bindChannels();
    this.#own = null;
    return result;
  }

  readonly execute: Execute = (batch, from, rows, run) => {
    this.#block[BATCH_RUN / 4] = run;
    for (let row = 0; row < rows; row++) {
      writeRow(this.#block, row, batch.channels[from + row], batch.slots[from + row]);
    }
    if (this.#openInputs.length > 0) this.#writeDims(batch, from);
    if (this.#deviceRecords.length > 0 && this.#hasUnread(batch, from, rows)) return UNREAD;
    const status = this.#native.run(this.#instance, rows);
    if (status !== TP_OK) return this.#failure(status, rows);
    if (this.#hasResults) this.#readOutputs(batch, from, rows);
    return SUCCESS;
  };

  /** See InstanceOptions. The row's slot is still the instance's. */
  readonly discard = (batch: Batch, row: number): void => {
    const { control, layout } = this.#channels[batch.channels[row]];
    const at = layout.result + batch.slots[row];
    const result = this.#hasResults ? control[at] : 0;
    if (result === 0) return;
    control[at] = 0;
    this.#native.resultRelease(result >>> 0);
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
    const count = this.#tensors;
    const [at, strides] = [offsets.slice(0, count), strideBytes.slice(0, count)];
    this.#native.bindLayout(this.#instance, bigints(at), bigints(strides));
    // Before the channels: it takes their bindings back.
    if (this.#hasDeviceRows) this.#native.device.bindRows(this.#instance, offsets[count], strideBytes[count]);
    payloads.forEach((payload, index) => {
      this.#native.bindChannel(this.#instance, index, new Uint8Array(payload), slots);
    });
  }

  #payload(slots: number): ReturnType<typeof payloadOffsets> {
    return payloadOffsets(this.#shape.strideBytes, slots);
  }

  #unreadRecords(): Int32Array[] {
    const { strideBytes, slots } = this.#shape;
    if (this.#hasDeviceRows || strideBytes.length === this.#tensors) return [];
    const offset = this.#payload(slots).offsets[this.#tensors];
    const words = (strideBytes[this.#tensors] / 4) * slots;
    return this.#channels.map(({ payload }) => new Int32Array(payload, offset, words));
  }

  /** Whether a row of the batch has an input in device memory. */
  #hasUnread(batch: Batch, from: number, rows: number): boolean {
    const words = this.#shape.strideBytes[this.#tensors] / 4;
    for (let row = from; row < from + rows; row++) {
      const records = this.#deviceRecords[batch.channels[row]];
      const at = batch.slots[row] * words;
      for (let word = at; word < at + words; word += DEVICE_REF_BYTES / 4) {
        if (records[word] !== 0) return true;
      }
    }
    return false;
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
    this.#block[BATCH_FLAGS / 4] |= TP_BATCH_DIMS;
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
      // Nothing comes between these two, so that the row's reference is either the library's or the slot's.
      claimRow(this.#block, row);
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
    if (this.#hasResults && !lost) return { outcome: -TP_ERR_EXECUTION, text, rows: null, retryable: true };
    return { outcome: -status, text, rows: outcomes, retryable: false };
  }
}

function warmUp(own: OwnRows, runs: number): void {
  for (const rows of new Set([1, own.count])) {
    const slots = Array.from({ length: rows }, (_, slot) => slot);
    for (let run = 0; run < runs; run++) {
      const status = own.run(slots);
      if (status !== TP_OK) throw own.failure(status);
      own.release(rows);
    }
  }
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
