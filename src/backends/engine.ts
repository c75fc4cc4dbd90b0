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
  MAX_RANK,
  ROW_BYTES,
  ROW_CHANNEL,
  ROW_RESULT,
  ROW_SLOT,
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
import type { Native, NativeError } from "../native/library.ts";
import type { OpenDims, StartMessage } from "../protocol.ts";
import type { Execute, RunOutcome } from "../scheduler/instance.ts";
import type { Batch } from "../scheduler/queue.ts";
import { dimsWord, isOpen, openPlaces } from "./dim-places.ts";
import type { DimPlace } from "./dim-places.ts";
import { UNREAD, UnreadRecords } from "./unread-records.ts";

const SUCCESS: RunOutcome = { outcome: Outcome.ok, text: "", rows: null, retryable: false };
const RETRYABLE = new Set<number>([TP_ERR_EXECUTION, TP_ERR_SPLIT, TP_ERR_MEMORY]);

/** Bytes of a batch block for batches of up to `maxRows` rows. */
export function blockBytes(maxRows: number): number {
  return BATCH_BYTES + maxRows * ROW_BYTES;
}

export class Engine {
  readonly #native: Native;
  readonly #instance: number;
  readonly #channels: readonly Channel[];
  readonly #block: Int32Array<SharedArrayBuffer>;
  readonly #inputs: number;
  readonly #shape: MemoryShape;
  readonly #tensors: number;
  /** Whether slots say which of their inputs are in device memory, and the backend reads it. */
  readonly #hasDeviceRows: boolean;
  readonly #openInputs: readonly DimPlace[];
  /**
   * First word in the block of each output whose item shape is open; a slot keeps MAX_RANK words for each.
   */
  readonly #openOutputs: readonly number[];
  /** Where slots say so although the backend takes host memory: after a reload. */
  readonly #unread: UnreadRecords | null;
  /** Outputs stay in a device's memory. */
  readonly #deviceOutputs: boolean;
  /** They do, or may stay in native memory. */
  readonly #hasResults: boolean;
  /** What own rows are kept in: the C library has its address alone, so it is kept from being collected. */
  #rows: SharedArrayBuffer | null = null;

  constructor(native: Native, start: StartMessage, channels: readonly Channel[]) {
    const { shape } = start;
    this.#native = native;
    this.#channels = channels;
    this.#inputs = start.inputs.length;
    this.#block = new Int32Array(start.block);
    this.#instance = native.createInstance(start.model, shape.maxRows, start.minRows);
    this.#shape = shape;
    this.#tensors = start.inputs.length + start.outputs.length;
    this.#hasDeviceRows = start.deviceOutputs !== null;
    this.#unread = this.#hasDeviceRows ? null : UnreadRecords.of(shape, this.#tensors, channels);
    this.#bindChannels();
    native.bindBatch(this.#instance, new Uint8Array(start.block));
    this.#openInputs = openPlaces(start.inputs);
    this.#openOutputs = start.outputs.flatMap((output, k) =>
      isOpen(output) ? [dimsWord(start.inputs.length + k)] : [],
    );
    this.#deviceOutputs = start.deviceOutputs === true;
    this.#hasResults = this.#openOutputs.length > 0 || this.#deviceOutputs;
    this.#block[BATCH_FLAGS / 4] = TP_BATCH_CLAIM;
    this.#writeLargest(start.inputs);
  }

  /** Runs `runs` batches of one row and of `maxRows`. Throws what they failed with. */
  warmUp(runs: number, maxRows: number): void {
    if (runs === 0) return;
    this.onOwnRows(maxRows, () => this.#warmUp(runs, maxRows));
  }

  /**
   * Does `work` with so many slots of their own in place of the first channel's: those may be somebody's. If
   * it throws, the instance is of no use any more.
   */
  onOwnRows<T>(rows: number, work: (payload: Uint8Array) => T): T {
    this.#rows = new SharedArrayBuffer(this.#payload(rows).bytes);
    this.#bind([this.#rows], rows);
    const result = work(new Uint8Array(this.#rows));
    this.#bindChannels();
    this.#rows = null;
    return result;
  }

  #warmUp(runs: number, maxRows: number): void {
    for (const rows of new Set([1, maxRows])) {
      const slots = Array.from({ length: rows }, (_, slot) => slot);
      for (let run = 0; run < runs; run++) {
        const status = this.runSlots(slots);
        if (status !== TP_OK) throw this.#native.failure(status);
        this.releaseRows(rows);
      }
    }
  }

  /** Runs one batch of own slots, with the largest item shapes. Returns the status. */
  runSlots(slots: readonly number[]): number {
    for (const [row, slot] of slots.entries()) this.#writeRow(row, 0, slot);
    return this.#native.run(this.#instance, slots.length);
  }

  failure(status: number): NativeError {
    return this.#native.failure(status);
  }

  /** A copy of what the last `runSlots` gave for a row whose place in its slot is `place`. */
  copyOutput(output: number, row: number, place: Uint8Array, elementBytes: number): Uint8Array<ArrayBuffer> {
    if (this.#deviceOutputs) return this.#copyFromDevice(output, row);
    const tensor = this.#inputs + output;
    const open = this.#openOutputs.includes(dimsWord(tensor));
    const to = new Uint8Array(open ? this.#openElements(tensor) * elementBytes : place.byteLength);
    const block = this.#block;
    if (open && ((block[BATCH_NATIVE_OUTPUTS / 4] >>> output) & 1) === 1) {
      const status = this.#native.resultCopy(block[BATCH_RESULT / 4] >>> 0, row, output, to);
      if (status !== TP_OK) throw this.#native.failure(status);
    } else {
      to.set(place.subarray(0, to.byteLength));
    }
    return to;
  }

  #copyFromDevice(output: number, row: number): Uint8Array<ArrayBuffer> {
    const { device } = this.#native;
    const tensor = device.take(this.#block[BATCH_RESULT / 4] >>> 0, row, 1, output);
    const to = new Uint8Array(device.info(tensor).bytes);
    try {
      if (to.byteLength > 0) device.read(tensor, 0, to);
    } finally {
      device.release(tensor, 1);
    }
    return to;
  }

  /** Gives back what the last run's rows hold in native memory. */
  releaseRows(rows: number): void {
    const result = this.#block[BATCH_RESULT / 4] >>> 0;
    if (result === 0) return;
    for (let row = 0; row < rows; row++) {
      this.#claimRow(row);
      this.#native.resultRelease(result);
    }
  }

  /** Elements of one item of an output of open shape; beyond its last dimension the block has -1. */
  #openElements(tensor: number): number {
    const at = dimsWord(tensor);
    let elements = 1;
    for (let d = 0; d < MAX_RANK && this.#block[at + d] !== -1; d++) elements *= this.#block[at + d];
    return elements;
  }

  readonly execute: Execute = (batch, from, rows) => {
    for (let row = 0; row < rows; row++) {
      this.#writeRow(row, batch.channels[from + row], batch.slots[from + row]);
    }
    if (this.#openInputs.length > 0) this.#writeDims(batch, from);
    if (this.#unread?.has(batch, from, rows)) return UNREAD;
    const status = this.#native.run(this.#instance, rows);
    if (status !== TP_OK) return this.#failure(status, rows);
    if (this.#hasResults) this.#readOutputs(batch, from, rows);
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

  #writeRow(row: number, channel: number, slot: number): void {
    const at = (BATCH_BYTES + row * ROW_BYTES) / 4;
    this.#block[at + ROW_CHANNEL / 4] = channel;
    this.#block[at + ROW_SLOT / 4] = slot;
  }

  /** Takes a row's reference on the result over from the library. */
  #claimRow(row: number): void {
    this.#block[(BATCH_BYTES + row * ROW_BYTES + ROW_RESULT) / 4] = 0;
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
      this.#claimRow(row);
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

function bigints(values: readonly number[]): BigUint64Array {
  return BigUint64Array.from(values, BigInt);
}
