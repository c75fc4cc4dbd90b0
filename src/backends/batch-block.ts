/** Places in the batch block, which an instance and the C library share. */

import {
  BATCH_BYTES,
  BATCH_DIMS,
  MAX_RANK,
  ROW_BYTES,
  ROW_CHANNEL,
  ROW_RESULT,
  ROW_SLOT,
} from "../native/abi.ts";
import type { OpenDims } from "../protocol.ts";

export function writeRow(block: Int32Array, row: number, channel: number, slot: number): void {
  const at = (BATCH_BYTES + row * ROW_BYTES) / 4;
  block[at + ROW_CHANNEL / 4] = channel;
  block[at + ROW_SLOT / 4] = slot;
}

/** Takes a row's reference on the result over from the library. */
export function claimRow(block: Int32Array, row: number): void {
  block[(BATCH_BYTES + row * ROW_BYTES + ROW_RESULT) / 4] = 0;
}

/** First word of a tensor's item shape; inputs come first, then outputs. */
export function dimsWord(tensor: number): number {
  return BATCH_DIMS / 4 + tensor * MAX_RANK;
}

/** Whether the model leaves a dimension of the item shape open. */
export function isOpen({ shape }: OpenDims): boolean {
  return shape === null || shape.includes(-1);
}
