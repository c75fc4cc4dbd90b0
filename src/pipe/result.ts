/** Answers out of slots: every result is a copy that belongs to the caller. */

import { InvariantError } from "../errors.ts";
import type { Channel } from "../memory/channel.ts";
import { payloadOffsets } from "../memory/layout.ts";
import type { Native } from "../native/library.ts";
import { DeviceOutputReader } from "./device-result.ts";
import { DeviceTensor } from "./device-tensor.ts";
import { dtypes } from "./dtype.ts";
import type { TensorData } from "./dtype.ts";
import { isFloat } from "./input.ts";
import { fullShape, openItem } from "./result-shape.ts";
import type { Place } from "./result-shape.ts";
import { elementsOf } from "./shape.ts";
import { slotStrides } from "./spec.ts";
import type { ModelSpec, TensorLayout } from "./spec.ts";
import { Tensor } from "./tensor.ts";
import type { PipeInput } from "./types.ts";

/** Where outputs that did not fit into a slot are, and those that stay in device memory; and the way in. */
export type NativeResults = Pick<
  Native,
  "copyIn" | "resultCopy" | "resultRelease" | "lastError" | "device" | "path"
>;

type Result = NonNullable<PipeInput["result"]>;

/** Up to this many elements a loop beats the set-up of a bulk copy. */
const LOOP_ELEMENTS = 32;

/** Gives back what a result has of device memory, where nobody will get it. */
export function disposeResult(result: Result): void {
  const values =
    result instanceof Tensor || result instanceof DeviceTensor ? [result] : Object.values(result);
  for (const value of values) if (value instanceof DeviceTensor) value.dispose();
}

export class ResultReader {
  readonly #outputs: readonly { name: string; read(slots: ArrayLike<number>): Tensor | DeviceTensor }[];
  readonly #channel: Channel;
  readonly #results: NativeResults;
  readonly #open: boolean;
  /** Room for one row's outputs in bytes. */
  readonly rowBytes: number;

  constructor(spec: ModelSpec, channel: Channel, results: NativeResults) {
    this.#channel = channel;
    this.#results = results;
    const { offsets } = payloadOffsets(slotStrides(spec), channel.shape.slots);
    this.rowBytes = spec.outputs.reduce((sum, { strideBytes }) => sum + strideBytes, 0);
    let openBefore = 0;
    this.#outputs = spec.outputs.map((output, k) => {
      const open = output.largest === null ? openBefore++ : -1;
      const place = {
        offset: offsets[spec.inputs.length + k],
        index: k,
        open,
        batched: spec.batch !== "none",
      };
      if (spec.device?.outputs) return new DeviceOutputReader(output, place, channel, results);
      return new OutputReader(output, place, channel, results);
    });
    this.#open = openBefore > 0 || spec.device?.outputs === true;
  }

  /**
   * The result of a request whose rows are these slots, in this order. Throws ExecutionError if they do not
   * go together.
   */
  read(slots: ArrayLike<number>): Result {
    if (this.#outputs.length === 1) return this.#outputs[0].read(slots);
    const result: Record<string, Tensor | DeviceTensor> = {};
    try {
      for (const output of this.#outputs) result[output.name] = output.read(slots);
      return result as Result;
    } catch (error) {
      disposeResult(result as Result);
      throw error;
    }
  }

  /** The slot will be used again: what it still holds in native memory is given back. */
  drop(slot: number): void {
    if (!this.#open) return;
    const { control, layout } = this.#channel;
    const result = control[layout.result + slot];
    if (result === 0) return;
    control[layout.result + slot] = 0;
    this.#results.resultRelease(result >>> 0);
  }
}

class OutputReader {
  readonly name: string;
  readonly #layout: TensorLayout;
  readonly #place: Place;
  readonly #channel: Channel;
  readonly #results: NativeResults;
  /** All slots' items as one array of elements. */
  readonly #elements: TensorData;
  readonly #stride: number;
  readonly #float: boolean;
  readonly #fixedItem: readonly number[] | null;
  /** Shape of one row, shared by all results of one row: shapes are frozen. */
  readonly #oneRow: readonly number[];

  constructor(layout: TensorLayout, place: Place, channel: Channel, results: NativeResults) {
    this.name = layout.name;
    this.#layout = layout;
    this.#place = place;
    this.#channel = channel;
    this.#results = results;
    const { bytes, carrier: Carrier } = dtypes[layout.dtype];
    this.#stride = layout.strideBytes / bytes;
    this.#elements = new Carrier(channel.payload, place.offset, this.#stride * channel.shape.slots);
    this.#float = isFloat(this.#elements);
    this.#fixedItem = place.open === -1 ? layout.shape : null;
    this.#oneRow = this.#shape(1, this.#fixedItem ?? []);
  }

  read(slots: ArrayLike<number>): Tensor {
    const item = this.#fixedItem ?? openItem(this.#channel, this.#place.open, slots, this.name);
    const elements = item === this.#fixedItem ? this.#stride : elementsOf(item);
    const rows = slots.length;
    const { dtype } = this.#layout;
    if (rows === 1 && (elements > LOOP_ELEMENTS || this.#float) && !this.#isNative(slots[0])) {
      const from = slots[0] * this.#stride;
      const copy = this.#elements.slice(from, from + elements) as TensorData;
      return Tensor.trusted(copy, this.#fixedItem ? this.#oneRow : this.#shape(1, item), dtype);
    }
    const data = new dtypes[dtype].carrier(rows * elements);
    for (let row = 0; row < rows; row++) this.#copyRow(slots[row], data, row * elements, elements);
    const shape = rows === 1 && this.#fixedItem ? this.#oneRow : this.#shape(rows, item);
    return Tensor.trusted(data, shape, dtype);
  }

  #copyRow(slot: number, data: TensorData, at: number, elements: number): void {
    if (this.#isNative(slot)) return this.#copyNative(slot, data.subarray(at, at + elements) as TensorData);
    const from = slot * this.#stride;
    if (elements > LOOP_ELEMENTS || this.#float) {
      (data as Uint8Array).set(this.#elements.subarray(from, from + elements) as Uint8Array, at);
      return;
    }
    for (let i = 0; i < elements; i++) data[at + i] = this.#elements[from + i];
  }

  /** The output was larger than its place in the slot: one native call brings it. */
  #copyNative(slot: number, to: TensorData): void {
    const { control, layout } = this.#channel;
    const result = control[layout.result + slot] >>> 0;
    const row = control[layout.resultRow + slot];
    const bytes = new Uint8Array(to.buffer, to.byteOffset, to.byteLength);
    const status = this.#results.resultCopy(result, row, this.#place.index, bytes);
    if (status !== 0) throw new InvariantError(`output "${this.name}" is gone: ${this.#results.lastError()}`);
  }

  #isNative(slot: number): boolean {
    if (this.#place.open === -1) return false;
    const { control, layout } = this.#channel;
    return ((control[layout.nativeOutputs + slot] >>> this.#place.index) & 1) === 1;
  }

  #shape(rows: number, item: readonly number[]): readonly number[] {
    return fullShape(this.#place, rows, item);
  }
}
