/** Requests into slots: the copy that makes a request independent of what its caller does next. */

import type { Channel } from "../memory/channel.ts";
import { payloadOffsets } from "../memory/layout.ts";
import { Bulk } from "./bulk.ts";
import type { NativeCopy } from "./bulk.ts";
import { ChunkReader } from "./chunks.ts";
import type { Chunks } from "./chunks.ts";
import { dtypes } from "./dtype.ts";
import type { TensorData } from "./dtype.ts";
import { pinnedSlots } from "./pinned.ts";
import type { RequestScratch } from "./request.ts";
import { slotStrides } from "./spec.ts";
import type { ModelSpec } from "./spec.ts";

/** Up to this many elements a loop beats the set-up of a bulk copy. */
const LOOP_ELEMENTS = 32;

/** All slots' items of one input as one array of elements. */
interface InputArea {
  elements: TensorData;
  stride: number;
  /** The same memory as bytes, for what is long or came in pieces, and the bytes of one element. */
  bulk: Bulk;
  elementBytes: number;
}

export class InputWriter {
  readonly #channel: Channel;
  readonly #areas: readonly InputArea[];

  constructor(spec: ModelSpec, channel: Channel, native: NativeCopy) {
    this.#channel = channel;
    const { offsets } = payloadOffsets(slotStrides(spec), channel.shape.slots);
    const pinned = pinnedSlots(spec);
    this.#areas = spec.inputs.map(({ dtype, strideBytes }, k) => {
      const { bytes: elementBytes, carrier: Carrier } = dtypes[dtype];
      const stride = strideBytes / elementBytes;
      const { slots } = channel.shape;
      const elements = new Carrier(channel.payload, offsets[k], stride * slots);
      const bulk = new Bulk(channel.payload, offsets[k], strideBytes * slots, native, strideBytes * pinned);
      return { elements, stride, bulk, elementBytes };
    });
  }

  /**
   * Copies rows `row..row + rows` of what was read into `rows` slots that follow each other, from `slot` on;
   * not what is in device memory.
   */
  write(scratch: RequestScratch, row: number, slot: number, rows: number): void {
    for (let k = 0; k < this.#areas.length; k++) {
      if (scratch.devices[k] !== null) continue;
      const area = this.#areas[k];
      const { stride } = area;
      const chunks = scratch.chunks[k];
      if (chunks !== null) {
        copyChunks(chunks, area, scratch.elements[k], row, slot, rows);
        continue;
      }
      const from = scratch.sources[k];
      const item = scratch.elements[k];
      // Items that fill their places lie side by side in the slots as they do in the request.
      if (item === stride || rows === 1) copy(from, row * item, area, slot * stride, item * rows);
      else for (let i = 0; i < rows; i++) copy(from, (row + i) * item, area, (slot + i) * stride, item);
    }
    const { inputDims } = this.#channel.shape;
    if (inputDims > 0) this.#writeDims(scratch, slot, rows, inputDims);
  }

  #writeDims(scratch: RequestScratch, slot: number, rows: number, inputDims: number): void {
    const { control, layout } = this.#channel;
    for (let i = 0; i < rows; i++) {
      const at = layout.inputDims + (slot + i) * inputDims;
      for (let d = 0; d < inputDims; d++) control[at + d] = scratch.dims[d];
    }
  }
}

/** Rows `row..row + rows` of what came in pieces, into slots from `slot` on. */
function copyChunks(
  chunks: Chunks,
  { bulk, stride, elementBytes }: InputArea,
  item: number,
  row: number,
  slot: number,
  rows: number,
): void {
  const itemBytes = item * elementBytes;
  const strideBytes = stride * elementBytes;
  const reader = new ChunkReader(chunks, row * itemBytes);
  if (item === stride) return reader.copy(bulk, slot * strideBytes, itemBytes * rows);
  for (let i = 0; i < rows; i++) reader.copy(bulk, (slot + i) * strideBytes, itemBytes);
}

/** Floats are copied in bulk only: one by one, some engines turn signaling NaNs into quiet ones. */
export function isFloat(data: TensorData): boolean {
  return data instanceof Float32Array || data instanceof Float64Array;
}

function copy(from: TensorData, fromAt: number, area: InputArea, toAt: number, count: number): void {
  const { elements: to, bulk, elementBytes: size } = area;
  if (bulk.pays(count * size)) return bulk.copy(from, fromAt * size, toAt * size, count * size);
  if (count <= LOOP_ELEMENTS && !isFloat(from)) {
    for (let i = 0; i < count; i++) to[toAt + i] = from[fromAt + i];
    return;
  }
  const whole = fromAt === 0 && count === from.length;
  (to as Uint8Array).set((whole ? from : from.subarray(fromAt, fromAt + count)) as Uint8Array, toAt);
}
