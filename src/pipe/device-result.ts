/** Outputs that stay in device memory, as the tensors that callers get. */

import { InvariantError } from "../errors.ts";
import type { Channel } from "../memory/channel.ts";
import type { Native } from "../native/library.ts";
import { withDevice } from "./device-errors.ts";
import { DeviceTensor } from "./device-tensor.ts";
import { fullShape, openItem } from "./result-shape.ts";
import type { Place } from "./result-shape.ts";
import type { TensorLayout } from "./spec.ts";

export class DeviceOutputReader {
  readonly name: string;
  readonly #layout: TensorLayout;
  readonly #place: Place;
  readonly #channel: Channel;
  readonly #native: Pick<Native, "device" | "path">;

  constructor(layout: TensorLayout, place: Place, channel: Channel, native: Pick<Native, "device" | "path">) {
    this.name = layout.name;
    this.#layout = layout;
    this.#place = place;
    this.#channel = channel;
    this.#native = native;
  }

  /**
   * * Rows that one batch gave side by side are a part of its memory as they are; others are copied together,
   * on the device of the first.
   */
  read(slots: ArrayLike<number>): DeviceTensor {
    const { open } = this.#place;
    const item = open === -1 ? this.#layout.shape! : openItem(this.#channel, open, slots, this.name);
    const shape = fullShape(this.#place, slots.length, item);
    return withDevice(0, () => {
      const handle = this.#join(slots);
      const { deviceId } = this.#native.device.info(handle);
      return DeviceTensor.trusted(this.#native, handle, shape, this.#layout.dtype, deviceId);
    });
  }

  #join(slots: ArrayLike<number>): number {
    const { device } = this.#native;
    const parts: number[] = [];
    try {
      for (let row = 0; row < slots.length;) {
        const rows = this.#rowsTogether(slots, row);
        parts.push(this.#take(slots[row], rows));
        row += rows;
      }
      // The only part is the tensor itself.
      return parts.length === 1 ? parts.pop()! : device.join(parts);
    } finally {
      for (const part of parts) device.release(part, 1);
    }
  }

  #take(slot: number, rows: number): number {
    const { control, layout } = this.#channel;
    const result = control[layout.result + slot] >>> 0;
    if (result === 0) throw new InvariantError(`slot ${slot} is done without a result`);
    return this.#native.device.take(result, control[layout.resultRow + slot], rows, this.#place.index);
  }

  /** Rows from `row` on that follow each other in one result. */
  #rowsTogether(slots: ArrayLike<number>, row: number): number {
    const { control, layout } = this.#channel;
    const { result, resultRow } = layout;
    let rows = 1;
    while (
      row + rows < slots.length &&
      control[result + slots[row + rows]] === control[result + slots[row]] &&
      control[resultRow + slots[row + rows]] === control[resultRow + slots[row]] + rows
    ) {
      rows++;
    }
    return rows;
  }
}
