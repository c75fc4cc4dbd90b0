/** The pipe's memory under simulation: made once, large enough for every plan, and cleared for each seed. */

import { Channel } from "../../src/memory/channel.ts";
import type { ChannelBuffers, MemoryShape } from "../../src/memory/layout.ts";
import { InstanceWord, payloadOffsets } from "../../src/memory/layout.ts";
import { Pool } from "../../src/memory/pool.ts";
import { Phase, slotWord } from "../../src/memory/slot.ts";
import { createChannelBuffers } from "../../src/memory/channel.ts";
import type { ModelSpec } from "../../src/pipe/spec.ts";
import { CHANNELS_MAX, INSTANCES_MAX, ROW_ELEMENTS, SHAPES_MAX, SLOTS_MAX } from "./plan.ts";
import type { Plan } from "./plan.ts";

export interface StageBuffers {
  pool: SharedArrayBuffer;
  channels: ChannelBuffers[];
}

const LARGEST: MemoryShape = {
  instances: INSTANCES_MAX,
  channels: CHANNELS_MAX,
  slots: SLOTS_MAX,
  maxRows: SLOTS_MAX,
  inputDims: 1,
  outputDims: 0,
  strideBytes: [(ROW_ELEMENTS + SHAPES_MAX) * 4, ROW_ELEMENTS * 4],
  groups: 8,
};

export function makeStageBuffers(): StageBuffers {
  return {
    pool: new Pool(LARGEST).buffer,
    channels: Array.from({ length: CHANNELS_MAX }, () => createChannelBuffers(LARGEST)),
  };
}

/** One thread's view of the pipe's memory, for one plan. */
export class Stage {
  readonly plan: Plan;
  readonly pool: Pool;
  readonly channels: Channel[];
  readonly buffers: StageBuffers;
  /** First elements of the rows' inputs and outputs, and elements from one slot to the next. */
  readonly inputs: Int32Array[];
  readonly outputs: Int32Array[];

  constructor(buffers: StageBuffers, plan: Plan) {
    this.plan = plan;
    this.buffers = buffers;
    const { shape } = plan;
    this.pool = new Pool(shape, buffers.pool);
    const used = buffers.channels.slice(0, shape.channels);
    this.channels = used.map((pair, index) => new Channel(index, shape, pair));
    const [inputsAt, outputsAt] = payloadOffsets(shape.strideBytes, shape.slots).offsets;
    this.inputs = used.map(({ payload }) => new Int32Array(payload, inputsAt));
    this.outputs = used.map(({ payload }) => new Int32Array(payload, outputsAt));
  }

  /** As new memory, but that the counters begin where the plan says. Nobody else runs. */
  clear(): void {
    const { pool, channels, plan } = this;
    new Uint8Array(this.buffers.pool).fill(0);
    for (let i = 0; i < plan.shape.instances; i++) {
      pool.words[pool.layout.instances + i * InstanceWord.words + InstanceWord.wake] = plan.counterStart;
    }
    pool.words[pool.layout.rebuild] = 1;
    for (const { control, layout, payload, shape } of channels) {
      new Uint8Array(control.buffer).fill(0);
      new Uint8Array(payload).fill(0);
      for (const at of [layout.tail, layout.head, layout.bell]) control[at] = plan.counterStart;
      const free = slotWord(Phase.free, 0, 0, plan.generationStart);
      control.fill(free, layout.word, layout.word + shape.slots);
    }
  }

  inputAt(slot: number): number {
    return (slot * this.plan.shape.strideBytes[0]) / 4;
  }

  outputAt(slot: number): number {
    return (slot * this.plan.shape.strideBytes[1]) / 4;
  }

  /** Which shape a slot's row has, from 0. */
  shapeOf(channel: number, slot: number): number {
    const { control, layout } = this.channels[channel];
    return this.plan.shape.inputDims === 0 ? 0 : control[layout.inputDims + slot] - ROW_ELEMENTS;
  }
}

/** The model that all plans run: int32 rows in, four words of each out. */
export function makeSpec(plan: Plan): ModelSpec {
  const { shape, shapes } = plan;
  const isOpen = shapes > 1;
  const largest = [ROW_ELEMENTS + shapes - 1];
  const input = {
    name: "row",
    dtype: "int32" as const,
    shape: isOpen ? [-1] : largest,
    largest,
    smallest: isOpen ? [0] : largest,
    open: isOpen ? [0] : [],
    itemElements: isOpen ? -1 : largest[0],
    tag: "Int32Array",
    strideBytes: shape.strideBytes[0],
  };
  const output = {
    name: "echo",
    dtype: "int32" as const,
    shape: [ROW_ELEMENTS],
    largest: [ROW_ELEMENTS],
    strideBytes: shape.strideBytes[1],
  };
  return {
    backend: "Simulated",
    device: null,
    engine: "simulated",
    engineLibrary: "",
    note: "",
    batch: "dynamic",
    batchSize: 1,
    inputs: [input],
    outputs: [output],
    maxRows: shape.maxRows,
    minRows: 1,
    maxQueue: shape.slots,
    requestRows: shape.slots,
    only: isOpen ? null : input,
  };
}
