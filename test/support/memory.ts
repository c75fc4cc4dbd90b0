/** Pools and channels in this process's memory, for tests of one thread. */

import { Channel, createChannelBuffers } from "../../src/memory/channel.ts";
import type { MemoryShape } from "../../src/memory/layout.ts";
import { Gate, Pool } from "../../src/memory/pool.ts";
import type { Batch } from "../../src/scheduler/queue.ts";

export function shapeOf(shape: Partial<MemoryShape> = {}): MemoryShape {
  return {
    instances: 2,
    channels: 2,
    slots: 8,
    maxRows: 4,
    inputDims: 0,
    outputDims: 0,
    strideBytes: [16, 16],
    groups: 1,
    ...shape,
  };
}

export function makeChannel(shape: Partial<MemoryShape> = {}, index = 0): Channel {
  const whole = shapeOf(shape);
  return new Channel(index, whole, createChannelBuffers(whole));
}

export interface Memory {
  pool: Pool;
  channels: Channel[];
}

/** An open pool and its channels, the lists of waiting rows still to be made by the first leader. */
export function makeMemory(shape: Partial<MemoryShape> = {}): Memory {
  const whole = shapeOf(shape);
  const pool = new Pool(whole);
  pool.askRebuild();
  pool.setGate(Gate.open);
  const channels = Array.from({ length: whole.channels }, (_, index) => makeChannel(whole, index));
  return { pool, channels };
}

export function makeBatch(maxRows: number): Batch {
  return {
    rows: 0,
    channels: new Int32Array(maxRows),
    slots: new Int32Array(maxRows),
    generations: new Int32Array(maxRows),
  };
}

/** What a test may ask of a row besides its shape. */
export interface Wishes {
  deadlineMs?: number;
  priority?: number;
}

/** Publishes a row that entered at `enteredMs`, with these open dimensions. */
export function publish(
  channel: Channel,
  slot: number,
  enteredMs = 0,
  dims: readonly number[] = [],
  { deadlineMs = 0, priority = 1 }: Wishes = {},
): void {
  channel.control.set(dims, channel.layout.inputDims + slot * channel.shape.inputDims);
  channel.schedule(slot, enteredMs, deadlineMs, priority);
  channel.publish(slot);
}

/** The rows of a batch as `channel:slot`. */
export function rowsOf(batch: Batch): string[] {
  return Array.from({ length: batch.rows }, (_, row) => `${batch.channels[row]}:${batch.slots[row]}`);
}
