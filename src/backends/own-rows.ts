/** Rows of an instance's own, in place of callers': for the warm-up, and to check batches on. */

import { payloadOffsets } from "../memory/layout.ts";
import { BATCH_NATIVE_OUTPUTS, BATCH_RESULT, MAX_RANK, TP_OK } from "../native/abi.ts";
import type { Native, NativeError } from "../native/library.ts";
import type { StartMessage } from "../protocol.ts";
import { claimRow, dimsWord, isOpen, writeRow } from "./batch-block.ts";

export class OwnRows {
  /** The C library has its address alone: whoever binds it keeps this. */
  readonly payload: SharedArrayBuffer;
  readonly count: number;
  readonly #native: Native;
  readonly #instance: number;
  readonly #block: Int32Array;
  readonly #start: StartMessage;
  readonly #offsets: readonly number[];

  constructor(native: Native, instance: number, start: StartMessage, count: number) {
    const { offsets, bytes } = payloadOffsets(start.shape.strideBytes, count);
    this.payload = new SharedArrayBuffer(bytes);
    this.count = count;
    this.#native = native;
    this.#instance = instance;
    this.#block = new Int32Array(start.block);
    this.#start = start;
    this.#offsets = offsets;
  }

  /** Where a tensor of a slot lies; inputs come first, then outputs. */
  place(tensor: number, slot: number): Uint8Array {
    const stride = this.#start.shape.strideBytes[tensor];
    return new Uint8Array(this.payload, this.#offsets[tensor] + slot * stride, stride);
  }

  /** Runs one batch of slots with the largest item shapes. Returns the status. */
  run(slots: readonly number[]): number {
    for (const [row, slot] of slots.entries()) writeRow(this.#block, row, 0, slot);
    return this.#native.run(this.#instance, slots.length);
  }

  failure(status: number): NativeError {
    return this.#native.failure(status);
  }

  /** A copy of what the last run gave for a row, which is in `slot`. */
  copyOutput(output: number, row: number, slot: number, elementBytes: number): Uint8Array<ArrayBuffer> {
    const tensor = this.#start.inputs.length + output;
    const place = this.place(tensor, slot);
    const open = isOpen(this.#start.outputs[output]);
    const to = new Uint8Array(open ? this.#openElements(tensor) * elementBytes : place.byteLength);
    if (((this.#block[BATCH_NATIVE_OUTPUTS / 4] >>> output) & 1) === 0) {
      to.set(place.subarray(0, to.byteLength));
      return to;
    }
    const result = this.#block[BATCH_RESULT / 4] >>> 0;
    if (this.#start.deviceOutputs === true) this.#readDevice(result, row, output, to);
    else {
      const status = this.#native.resultCopy(result, row, output, to);
      if (status !== TP_OK) throw this.#native.failure(status);
    }
    return to;
  }

  #readDevice(result: number, row: number, output: number, to: Uint8Array): void {
    const { device } = this.#native;
    const tensor = device.take(result, row, 1, output);
    try {
      device.read(tensor, 0, to);
    } finally {
      device.release(tensor, 1);
    }
  }

  /** Gives back what the rows of the last run hold in native memory. */
  release(rows: number): void {
    const result = this.#block[BATCH_RESULT / 4] >>> 0;
    if (result === 0) return;
    for (let row = 0; row < rows; row++) {
      claimRow(this.#block, row);
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
}
