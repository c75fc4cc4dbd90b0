/** What a soak calls flat, on samples made up here. */

import { describe, expect, it } from "vitest";
import { COUNTERS } from "./counters.ts";
import type { Counter, Counters } from "./counters.ts";
import { MIB, judge, limitMib, slopeMibPerHour } from "./verdict.ts";
import type { Record } from "./verdict.ts";

const held = Object.fromEntries(COUNTERS.map((name) => [name, 7])) as Counters;

/** A run whose memory is `bytes(second)`, of heap and RSS alike. */
function made(durationS: number, bytes: (atS: number) => number, long = false): Record {
  const seconds = Array.from({ length: durationS + 1 }, (_, atS) => atS);
  return {
    samples: seconds
      .filter((atS) => atS % 10 === 0)
      .map((atS) => ({ atS, counters: held, heap: bytes(atS) })),
    readings: seconds.map((atS) => ({ atS, rss: bytes(atS) })),
    durationS,
    long,
  };
}

const found = (record: Record): string[] => judge(record).map(({ what }) => what);
const level = (): number => 100 * MIB;

describe("a counter", () => {
  it("that stays is no fault", () => {
    expect(judge(made(600, level))).toEqual([]);
  });

  it.each<[Counter, number]>(COUNTERS.flatMap((name) => [[name, 1] as const, [name, -1] as const]))(
    "that changes once is one: %s by %d",
    (name, by) => {
      const record = made(600, level);
      const samples = record.samples.map((sample, i) =>
        i === 30 ? { ...sample, counters: { ...held, [name]: 7 + by } } : sample,
      );
      expect(judge({ ...record, samples })).toEqual([
        { what: name, text: `${name} were 7 and are ${7 + by} after 300 s` },
      ]);
    },
  );
});

describe("memory", () => {
  it("may grow by 8 MiB from minutes 2 to 4 to the last two, and no more", () => {
    const grown = (mib: number) => (atS: number) => level() + (atS > 500 ? mib * MIB : 0);
    expect(found(made(1200, grown(7.9)))).toEqual([]);
    expect(found(made(1200, grown(8.1)))).toEqual(["heap", "rss"]);
  });

  it("is looked at by its median: what is there for a moment is no leak", () => {
    const spikes = (atS: number): number => level() + (atS % 40 === 0 ? 300 * MIB : 0);
    expect(found(made(1200, spikes))).toEqual([]);
  });

  it("may grow before minute 2, and may shrink", () => {
    expect(found(made(600, (atS) => Math.min(atS, 100) * MIB))).toEqual([]);
    expect(found(made(600, (atS) => (1000 - atS) * MIB))).toEqual([]);
  });

  it("of a short run has a wider limit, between its second third and its last", () => {
    expect(limitMib(359)).toBe(64);
    expect(limitMib(360)).toBe(8);
    expect(found(made(30, (atS) => atS * 6 * MIB))).toEqual([]);
    expect(found(made(30, (atS) => atS * 7 * MIB))).toEqual(["heap", "rss"]);
  });

  it("that nobody looked at is a fault", () => {
    const nothing = { samples: [], readings: [], durationS: 600, long: false };
    expect(() => judge(nothing)).toThrow("without a single quiescent point");
    expect(found({ ...made(600, level), readings: [] })).toEqual(["nothing"]);
  });
});

describe("a run of hours", () => {
  const slope = (mibPerHour: number) => (atS: number) => level() + (atS / 3600) * mibPerHour * MIB;

  it("is held to 1 MiB an hour", () => {
    expect(slopeMibPerHour(made(7200, slope(0.5), true))).toBeCloseTo(0.5, 6);
    expect(found(made(7200, slope(0.9), true))).toEqual([]);
    expect(found(made(7200, slope(1.1), true))).toEqual(["rss"]);
  });

  it("may do what it likes in its first tenth", () => {
    const late = (atS: number): number => level() + Math.min(atS, 700) * MIB;
    expect(slopeMibPerHour(made(7200, late, true))).toBeCloseTo(0, 6);
  });
});
