/**
 * Inputs in device memory, on the caller's side. A slot whose record of an input is not 0 owns one
 * reference on the tensor that it names, from before it is published until it is used again.
 */

import { InputError, InvariantError } from "../errors.ts";
import type { Channel } from "../memory/channel.ts";
import { payloadOffsets } from "../memory/layout.ts";
import type { Native } from "../native/library.ts";
import { withDevice } from "./device-errors.ts";
import type { DeviceTensor } from "./device-tensor.ts";
import type { RequestScratch } from "./request.ts";
import { slotStrides } from "./spec.ts";
import type { ModelSpec } from "./spec.ts";

/** Words of one record: the tensor's handle, and the row in it. */
const RECORD = 2;

/** Throws InputError unless instances of the pipe can read the tensor. */
export function checkPlace({ device, backend }: ModelSpec, name: string, tensor: DeviceTensor): void {
  if (device === null) {
    const why = backend === "Process" ? "runs in other processes" : "takes host memory";
    throw new InputError(name, `a Tensor or typed array, because ${backend} ${why}`, "a DeviceTensor");
  }
  if (tensor.disposed) throw new InputError(name, "a DeviceTensor in use", "one that was disposed of");
  if (device.ids.includes(tensor.deviceId)) return;
  const devices = device.ids.length === 1 ? "CUDA device" : "one of the CUDA devices";
  throw new InputError(
    name,
    `a DeviceTensor on ${devices} ${device.ids.join(", ")}`,
    `one on device ${tensor.deviceId}`,
  );
}

export class DeviceRows {
  readonly #native: Pick<Native, "device" | "path">;
  readonly #inputs: readonly string[];
  readonly #records: Uint32Array;
  /** Words of one slot. */
  readonly #stride: number;

  /** null for a pipe that takes host memory alone. */
  static of(spec: ModelSpec, channel: Channel, native: Pick<Native, "device" | "path">): DeviceRows | null {
    return spec.device === null ? null : new DeviceRows(spec, channel, native);
  }

  private constructor(spec: ModelSpec, channel: Channel, native: Pick<Native, "device" | "path">) {
    const { slots } = channel.shape;
    const { offsets } = payloadOffsets(slotStrides(spec), slots);
    this.#native = native;
    this.#inputs = spec.inputs.map(({ name }) => name);
    this.#stride = this.#inputs.length * RECORD;
    this.#records = new Uint32Array(channel.payload, offsets.at(-1), this.#stride * slots);
  }

  /**
   * Takes a reference for each row of a request, before it takes slots; all or none. Throws InputError for a
   * tensor that is gone.
   */
  hold({ devices, rows }: RequestScratch): void {
    for (let k = 0; k < this.#inputs.length; k++) {
      const tensor = devices[k];
      if (tensor === null) continue;
      try {
        if (tensor.library !== this.#native.path) throw this.#foreign(k, tensor);
        withDevice(tensor.deviceId, () => this.#native.device.retain(tensor.handle, rows));
      } catch (error) {
        for (const held of devices.slice(0, k)) if (held) this.#native.device.release(held.handle, rows);
        throw error;
      }
    }
  }

  /**
   * Writes the records of `rows` slots from `slot` on, for rows from `row` on. The slots own the references.
   */
  write({ devices }: RequestScratch, row: number, slot: number, rows: number): void {
    for (let k = 0; k < this.#inputs.length; k++) {
      const tensor = devices[k];
      // What a slot held before was dropped, so that its record says 0.
      if (tensor === null) continue;
      const { handle } = tensor;
      for (let i = 0; i < rows; i++) {
        const at = (slot + i) * this.#stride + k * RECORD;
        this.#records[at] = handle;
        this.#records[at + 1] = row + i;
      }
    }
  }

  /** The slot will be used again: it lets go of what it holds. */
  drop(slot: number): void {
    const at = slot * this.#stride;
    for (let word = at; word < at + this.#stride; word += RECORD) {
      const handle = this.#records[word];
      if (handle === 0) continue;
      this.#records[word] = 0;
      this.#native.device.release(handle, 1);
    }
  }

  #foreign(k: number, tensor: DeviceTensor): Error {
    const expected = `a DeviceTensor of the library ${this.#native.path}`;
    if (tensor.disposed) throw new InvariantError("a disposed tensor was admitted");
    return new InputError(this.#inputs[k], expected, `one of ${tensor.library}`);
  }
}
