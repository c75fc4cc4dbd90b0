/** Where things lie: no two areas touch, and words that different threads write lie on lines of their own. */

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/errors.ts";
import { createChannelBuffers } from "../../src/memory/channel.ts";
import {
  CounterF64,
  CounterWord,
  GroupWord,
  InstanceWord,
  REASON_COUNT,
  TEXT_BYTES,
  channelLayout,
  payloadOffsets,
  poolLayout,
} from "../../src/memory/layout.ts";
import type { MemoryShape } from "../../src/memory/layout.ts";
import { SLOT_LIMIT } from "../../src/memory/slot.ts";
import { REASONS } from "../../src/scheduler/decide.ts";
import { shapeOf } from "../support/memory.ts";

/** A range of 32-bit words and who writes it while the pipe runs. */
interface Area {
  name: string;
  from: number;
  words: number;
  writer: string;
}

const LINE_WORDS = 16;

const shapes: fc.Arbitrary<MemoryShape> = fc.record({
  instances: fc.integer({ min: 1, max: 64 }),
  channels: fc.integer({ min: 1, max: 256 }),
  slots: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: SLOT_LIMIT })),
  maxRows: fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: SLOT_LIMIT })),
  inputDims: fc.integer({ min: 0, max: 20 }),
  outputDims: fc.integer({ min: 0, max: 4 }).map((outputs) => outputs * 8),
  strideBytes: fc.array(fc.integer({ min: 0, max: 700_000 }), { minLength: 2, maxLength: 6 }),
  groups: fc.constantFrom(1, 2, 64),
});

function channelAreas(shape: MemoryShape): { areas: Area[]; words: number } {
  const layout = channelLayout(shape);
  const { slots } = shape;
  const area = (name: string, from: number, words: number, writer: string): Area => ({
    name,
    from,
    words,
    writer,
  });
  const areas = [
    area("owner", layout.owner, 1, "caller"),
    area("watch", layout.watch, 1, "caller"),
    area("tail", layout.tail, 1, "caller"),
    area("head", layout.head, 1, "leader"),
    area("bell", layout.bell, 1, "both"),
    area("waiting", layout.waiting, 1, "both"),
    area("done", layout.done, layout.doneWords, "instance"),
    area("ring", layout.ring, layout.ringEntries, "caller, and a leader that rebuilds"),
    area("word", layout.word, slots, "all"),
    ...(["next", "previous", "list", "linked"] as const).map((name) =>
      area(name, layout[name], slots, "leader"),
    ),
    ...(["result", "resultRow", "nativeOutputs"] as const).map((name) =>
      area(name, layout[name], slots, "instance"),
    ),
    area("inputDims", layout.inputDims, slots * shape.inputDims, "caller"),
    area("outputDims", layout.outputDims, slots * shape.outputDims, "instance"),
    area("priority", layout.priority, slots, "caller"),
    area("entered", layout.entered, slots * 2, "caller"),
    area("deadline", layout.deadline, slots * 2, "caller"),
    area("text", layout.textBytes / 4, (slots * TEXT_BYTES) / 4, "instance"),
  ];
  return { areas: areas.filter(({ words }) => words > 0), words: layout.words };
}

function poolAreas(shape: MemoryShape): { areas: Area[]; words: number } {
  const layout = poolLayout(shape);
  const areas: Area[] = [
    { name: "lead", from: layout.lead, words: 1, writer: "instances" },
    { name: "gate", from: layout.gate, words: 1, writer: "owner" },
    { name: "rebuild", from: layout.rebuild, words: 1, writer: "owner, leader" },
    { name: "pending", from: layout.pending, words: layout.pendingWords, writer: "callers" },
    { name: "groups", from: layout.groups, words: layout.groupWords * layout.groupCount, writer: "leader" },
  ];
  for (let i = 0; i < shape.instances; i++) {
    const line = layout.instances + i * InstanceWord.words;
    areas.push({ name: `line ${i}`, from: line, words: 2, writer: `instance ${i}` });
    const counters = layout.counters + i * layout.counterWords;
    const words = CounterWord.sizes + REASON_COUNT * (shape.maxRows + 1);
    areas.push({ name: `counters ${i}`, from: counters, words, writer: `counts of instance ${i}` });
  }
  return { areas, words: layout.words };
}

/** Areas that overlap, and areas of different writers that share a line. */
function conflicts({ areas, words }: { areas: Area[]; words: number }): string[] {
  const sorted = areas.toSorted((a, b) => a.from - b.from);
  const found: string[] = [];
  for (const [i, area] of sorted.entries()) {
    const next = sorted[i + 1];
    const end = area.from + area.words;
    if (end > (next?.from ?? words)) found.push(`${area.name} runs into ${next?.name ?? "the end"}`);
    else if (next && next.writer !== area.writer && lineOf(end - 1) === lineOf(next.from)) {
      found.push(`${area.name} and ${next.name} share a line`);
    }
  }
  return found;
}

function lineOf(word: number): number {
  return Math.floor(word / LINE_WORDS);
}

describe("a channel's control block", () => {
  it("keeps all areas apart, whatever the shape", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        expect(conflicts(channelAreas(shape))).toEqual([]);
      }),
    );
  });

  it("has ring entries for four times the slots, a power of two", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { ringEntries } = channelLayout(shape);
        expect(Math.log2(ringEntries) % 1).toBe(0);
        expect(ringEntries).toBeGreaterThanOrEqual(Math.min(SLOT_LIMIT, shape.slots * 4));
      }),
    );
  });

  it("has a done bit for every slot", () => {
    for (const slots of [1, 31, 32, 33, 64, 65, 1024, SLOT_LIMIT]) {
      expect(channelLayout(shapeOf({ slots })).doneWords).toBe(Math.ceil(slots / 32));
    }
  });

  it.each([0, -1, SLOT_LIMIT + 1])("refuses %d slots", (slots) => {
    expect(() => channelLayout(shapeOf({ slots }))).toThrow(InvariantError);
  });

  it("lets times be read as float64 and text as bytes", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const layout = channelLayout(shape);
        expect((layout.entered * 4) % 8).toBe(0);
        expect(layout.textBytes % 4).toBe(0);
      }),
    );
  });
});

describe("the pool block", () => {
  it("keeps all areas apart, whatever the shape", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        expect(conflicts(poolAreas(shape))).toEqual([]);
      }),
    );
  });

  it("has a pending bit for every channel", () => {
    for (const channels of [1, 32, 33, 256]) {
      expect(poolLayout(shapeOf({ channels })).pendingWords).toBe(Math.ceil(channels / 32));
    }
  });

  it("has room for the head of a group and its dimensions", () => {
    expect(poolLayout(shapeOf({ inputDims: 5 })).groupWords).toBe(GroupWord.dims + 5);
  });

  it("has float64 sums that do not run into the counts, and a size counter for every reason", () => {
    expect(CounterF64.count * 2).toBeLessThanOrEqual(CounterWord.batches);
    expect(REASON_COUNT).toBe(REASONS.length);
  });
});

describe("a payload", () => {
  it("keeps the tensors apart, each beginning on a line of its own", () => {
    fc.assert(
      fc.property(shapes, ({ strideBytes, slots }) => {
        const { offsets, bytes } = payloadOffsets(strideBytes, slots);
        expect(offsets).toHaveLength(strideBytes.length);
        // No page of the tensors' memory is anybody else's, wherever the payload begins.
        let end = 4096;
        for (const [k, offset] of offsets.entries()) {
          expect(offset % 64).toBe(0);
          expect(offset).toBeGreaterThanOrEqual(end);
          end = offset + strideBytes[k] * slots;
        }
        expect(bytes).toBeGreaterThanOrEqual(end + 4096);
      }),
    );
  });

  it("has memory even where items have no bytes", () => {
    const shape = shapeOf({ strideBytes: [0, 0] });
    expect(createChannelBuffers(shape).payload.byteLength).toBeGreaterThan(0);
  });

  it("is made as large as the layout says", () => {
    const shape = shapeOf({ strideBytes: [12, 7], slots: 33 });
    const buffers = createChannelBuffers(shape);
    expect(buffers.payload.byteLength).toBe(payloadOffsets([12, 7], 33).bytes);
    expect(buffers.control.byteLength).toBe(channelLayout(shape).words * 4);
  });
});
