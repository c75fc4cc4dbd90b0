/** Where an output is, and the shapes that a run gave it. */

import { ExecutionError } from "../errors.ts";
import type { Channel } from "../memory/channel.ts";
import { MAX_RANK } from "../native/abi.ts";
import { showShape } from "./shape.ts";

export interface Place {
  /**
   * First byte in the payload, index among the outputs, index among those whose shape is open (-1: fixed).
   */
  offset: number;
  index: number;
  open: number;
  batched: boolean;
}

/** The shape of `rows` rows. Frozen: results share it. */
export function fullShape({ batched }: Place, rows: number, item: readonly number[]): readonly number[] {
  return Object.freeze(batched ? [rows, ...item] : [...item]);
}

/**
 * * The item shape that the run gave output `open` of those whose shape is open; all rows of a request must
 * have the same to become one tensor.
 */
export function openItem(
  channel: Channel,
  open: number,
  slots: ArrayLike<number>,
  name: string,
): readonly number[] {
  const first = dims(channel, open, slots[0]);
  for (let row = 1; row < slots.length; row++) {
    const other = dims(channel, open, slots[row]);
    if (showShape(other) === showShape(first)) continue;
    throw new ExecutionError(
      `Cannot join output "${name}": row 0 has the shape ${showShape(first)}, ` +
        `row ${row} ${showShape(other)}`,
    );
  }
  return first;
}

function dims({ control, layout, shape }: Channel, open: number, slot: number): number[] {
  const at = layout.outputDims + slot * shape.outputDims + open * MAX_RANK;
  const read = Array.from(control.subarray(at, at + MAX_RANK));
  // Beyond the last dimension the library writes -1.
  const end = read.indexOf(-1);
  return end === -1 ? read : read.slice(0, end);
}
