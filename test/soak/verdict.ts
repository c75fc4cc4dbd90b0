/** Whether what was counted during a soak is flat. No clock, no process: samples in, faults out. */

import { COUNTERS, type Counter, type Counters } from "./counters.ts";

export const MIB: number = 2 ** 20;

/** Taken when nothing is in flight. */
export interface Sample {
  atS: number;
  counters: Counters;
  heap: number;
}

/** Taken each second. */
export interface Reading {
  atS: number;
  rss: number;
}

export interface Record {
  /** The first one is what all others are compared with. */
  samples: readonly Sample[];
  readings: readonly Reading[];
  durationS: number;
  /** Instead of two windows, the slope of all readings is looked at. */
  long: boolean;
}

export interface Fault {
  /** `nothing`: there was too little to compare. */
  what: Counter | "heap" | "rss" | "nothing";
  text: string;
}

/** From this length on, memory is held to its real limit: a shorter run is still warming up. */
const WHOLE_S = 360;
const WINDOW_S = 120;
export const LIMIT_MIB = 8;
export const SHORT_LIMIT_MIB = 64;
const SLOPE_LIMIT_MIB_PER_H = 1;

/** The limit that the growth of heap and RSS is held to. */
export function limitMib(durationS: number): number {
  return durationS >= WHOLE_S ? LIMIT_MIB : SHORT_LIMIT_MIB;
}

export function judge(record: Record): Fault[] {
  const { samples, readings, durationS, long } = record;
  const limit = limitMib(durationS);
  const heap = growthMib(durationS, samples, ({ heap: bytes }) => bytes);
  const faults = COUNTERS.flatMap((counter) => flat(counter, samples));
  faults.push(...grown("heap", heap, limit, "MiB of heap after a collection"));
  if (long)
    faults.push(...grown("rss", slopeMibPerHour(record), SLOPE_LIMIT_MIB_PER_H, "MiB of RSS an hour"));
  else
    faults.push(
      ...grown(
        "rss",
        growthMib(durationS, readings, ({ rss }) => rss),
        limit,
        "MiB of RSS",
      ),
    );
  return faults;
}

function grown(what: "heap" | "rss", growth: number, limit: number, unit: string): Fault[] {
  if (Number.isNaN(growth))
    return [{ what: "nothing", text: `there is nothing to tell the growth of ${what} from` }];
  return growth > limit ? [{ what, text: `${growth.toFixed(2)} ${unit} more, the limit is ${limit}` }] : [];
}

/** A counter that is not at each quiescent point what it was at the first. */
function flat(counter: Counter, samples: readonly Sample[]): Fault[] {
  if (samples.length === 0) throw new Error("Cannot judge a soak without a single quiescent point");
  const [first] = samples;
  const other = samples.find(({ counters }) => counters[counter] !== first.counters[counter]);
  if (other === undefined) return [];
  const [was, is] = [first, other].map(({ counters }) => counters[counter]);
  return [{ what: counter, text: `${counter} were ${was} and are ${is} after ${other.atS.toFixed(0)} s` }];
}

/**
 * Growth of the median from minutes 2 to 4 to the last two minutes; of a short run, from its second third to
 * its last. NaN where there is nothing to compare.
 */
export function growthMib<T extends { atS: number }>(
  durationS: number,
  all: readonly T[],
  bytes: (one: T) => number,
): number {
  const windowS = durationS >= WHOLE_S ? WINDOW_S : durationS / 3;
  const within = (fromS: number): number =>
    median(all.filter(({ atS }) => atS >= fromS && atS <= fromS + windowS).map(bytes));
  return (within(durationS - windowS) - within(windowS)) / MIB;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Least squares through the readings after the first tenth of the time. */
export function slopeMibPerHour({ readings, durationS }: Record): number {
  const late = readings.filter(({ atS }) => atS >= durationS / 10);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanS, meanRss] = [mean(late.map(({ atS }) => atS)), mean(late.map(({ rss }) => rss))];
  const spread = late.reduce((sum, { atS }) => sum + (atS - meanS) ** 2, 0);
  const common = late.reduce((sum, { atS, rss }) => sum + (atS - meanS) * (rss - meanRss), 0);
  return ((common / spread) * 3600) / MIB;
}
