/** Inputs in device memory that a backend of host memory cannot read: only a reload brings the two together. */

import type { Channel } from "../memory/channel.ts";
import { payloadOffsets } from "../memory/layout.ts";
import type { MemoryShape } from "../memory/layout.ts";
import { DEVICE_REF_BYTES, TP_ERR_EXECUTION } from "../native/abi.ts";
import type { RunOutcome } from "../scheduler/instance.ts";
import type { Batch } from "../scheduler/queue.ts";

export const UNREAD: RunOutcome = {
  outcome: -TP_ERR_EXECUTION,
  text: "an input is in device memory, and the backend that a reload() put in place takes host memory",
  rows: null,
  retryable: true,
};
/** Where slots say which of their inputs are in device memory, behind their tensors. */
export class UnreadRecords {
  /** By channel. */
  readonly #records: readonly Int32Array[];
  /** Words that a slot has. */
  readonly #words: number;

  private constructor(records: readonly Int32Array[], words: number) {
    this.#records = records;
    this.#words = words;
  }

  /** null where slots have none. */
  static of(shape: MemoryShape, tensors: number, channels: readonly Channel[]): UnreadRecords | null {
    const { strideBytes, slots } = shape;
    if (strideBytes.length === tensors) return null;
    const offset = payloadOffsets(strideBytes, slots).offsets[tensors];
    const words = strideBytes[tensors] / 4;
    const records = channels.map(({ payload }) => new Int32Array(payload, offset, words * slots));
    return new UnreadRecords(records, words);
  }

  /** Whether a row of the batch has an input in device memory. */
  has(batch: Batch, from: number, rows: number): boolean {
    for (let row = from; row < from + rows; row++) {
      const records = this.#records[batch.channels[row]];
      const at = batch.slots[row] * this.#words;
      for (let word = at; word < at + this.#words; word += DEVICE_REF_BYTES / 4) {
        if (records[word] !== 0) return true;
      }
    }
    return false;
  }
}
