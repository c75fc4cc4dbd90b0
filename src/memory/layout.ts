/**
 * Where things lie in shared memory. Two kinds of blocks, both made once and never moved:
 *
 * - the pool block: the lead, the pending bits, one line per instance, the lists of waiting rows, the
 *   counters;
 * - one channel per calling thread: control words, submission ring, done bits and slot table in one buffer,
 *   the rows' bytes (payload) in another.
 *
 * All indices are 32-bit word indices unless a name says bytes. Words that different threads write lie on
 * different 64-byte lines.
 */

import { InvariantError } from "../errors.ts";
import { SLOT_LIMIT } from "./slot.ts";

const LINE = 16;

/** What both sides must agree on; plain data that crosses threads. */
export interface MemoryShape {
  instances: number;
  channels: number;
  /** Rows that one channel can hold. */
  slots: number;
  /** Rows of the largest batch. */
  maxRows: number;
  /** Open item dimensions of all inputs, and of all outputs: that many words of each slot hold them. */
  inputDims: number;
  outputDims: number;
  /** Room for one item of each tensor in bytes, inputs first, then outputs. */
  strideBytes: readonly number[];
  /** Shapes that may wait side by side; more wait in the rings until one of them is empty. */
  groups: number;
}

/** The two buffers of one channel. */
export interface ChannelBuffers {
  control: SharedArrayBuffer;
  payload: SharedArrayBuffer;
}

/** Words of the pool block. */
export interface PoolLayout {
  lead: number;
  gate: number;
  coming: number;
  reloads: number;
  unwatched: number;
  rebuild: number;
  pending: number;
  pendingWords: number;
  instances: number;
  groups: number;
  groupWords: number;
  groupCount: number;
  counters: number;
  counterWords: number;
  words: number;
}

/** Words of one instance's line; `started` is a float64, when its call began (see calls.ts). */
export const InstanceWord = { state: 0, wake: 1, turn: 2, run: 3, away: 4, started: 6, words: 16 } as const;

/** Levels of priority: 0 goes first. */
export const PRIORITIES = 3;

/** Words of one waiting list. */
export const ListWord = { head: 0, tail: 1, count: 2, words: 3 } as const;

/** A group, the rows of one shape: a list for each priority (3 of 3 words), then the open dimensions. */
export const GroupWord = { lists: 0, dims: 9 } as const;

export function poolLayout(shape: MemoryShape): PoolLayout {
  const pendingWords = Math.ceil(shape.channels / 32);
  const pending = 3 * LINE;
  const rebuild = align(pending + pendingWords);
  const instances = rebuild + LINE;
  const groups = instances + shape.instances * InstanceWord.words;
  const groupWords = GroupWord.dims + shape.inputDims;
  const counters = align(groups + shape.groups * groupWords);
  const counterWords = align(instanceCounterWords(shape.maxRows));
  const words = counters + shape.instances * counterWords;
  return {
    lead: 0,
    gate: LINE,
    coming: 2 * LINE,
    reloads: LINE + 1,
    unwatched: LINE + 2,
    rebuild,
    pending,
    pendingWords,
    instances,
    groups,
    groupWords,
    groupCount: shape.groups,
    counters,
    counterWords,
    words,
  };
}

/** Float64 sums (two words each) come first, then plain counts, then batches by reason and size. */
export const CounterF64 = { waitMs: 0, runMs: 1, count: 2 } as const;
export const CounterWord = { batches: 4, rows: 5, reruns: 6, stale: 7, sizes: 8 } as const;

function instanceCounterWords(maxRows: number): number {
  return CounterWord.sizes + REASON_COUNT * (maxRows + 1);
}

/** Number of reasons for which a batch may be sent. */
export const REASON_COUNT = 4;

/** Words of a channel's control block; the slot table is one array per field. */
export interface ChannelLayout {
  owner: number;
  watch: number;
  tail: number;
  head: number;
  bell: number;
  waiting: number;
  done: number;
  doneWords: number;
  ring: number;
  ringEntries: number;
  word: number;
  next: number;
  previous: number;
  priority: number;
  list: number;
  linked: number;
  result: number;
  resultRow: number;
  nativeOutputs: number;
  inputDims: number;
  outputDims: number;
  entered: number;
  deadline: number;
  textBytes: number;
  words: number;
}

/** Room for the text of one row's failure, its length in the first two bytes. */
export const TEXT_BYTES = 512;

export function channelLayout(shape: MemoryShape): ChannelLayout {
  const { slots } = shape;
  if (slots < 1 || slots > SLOT_LIMIT) throw new InvariantError(`a channel of ${slots} slots`);
  let at = 4 * LINE;
  const take = (words: number): number => {
    const start = at;
    at = align(at + words);
    return start;
  };
  const doneWords = Math.ceil(slots / 32);
  const ringEntries = Math.min(SLOT_LIMIT, 2 ** Math.ceil(Math.log2(slots * 4)));
  const layout = {
    owner: 0,
    watch: 1,
    tail: LINE,
    head: 2 * LINE,
    bell: 3 * LINE,
    waiting: 3 * LINE + 1,
    done: take(doneWords),
    doneWords,
    ring: take(ringEntries),
    ringEntries,
    word: take(slots),
    next: take(slots),
    previous: take(slots),
    priority: take(slots),
    list: take(slots),
    linked: take(slots),
    result: take(slots),
    resultRow: take(slots),
    nativeOutputs: take(slots),
    inputDims: take(slots * shape.inputDims),
    outputDims: take(slots * shape.outputDims),
    entered: take(slots * 2),
    deadline: take(slots * 2),
    textBytes: take((slots * TEXT_BYTES) / 4) * 4,
  };
  return { ...layout, words: at };
}

/**
 * Nothing lies in the first and the last page of a payload. A device's driver pins whole pages, each of them
 * once: what lies beside the payload is so never pinned with it.
 */
const PAGE_BYTES = 4096;

/**
 * Byte offset of each tensor's first slot in a payload, and the payload's size: all slots of one tensor lie
 * together.
 */
export function payloadOffsets(
  strideBytes: readonly number[],
  slots: number,
): { offsets: number[]; bytes: number } {
  let at = PAGE_BYTES;
  const offsets = strideBytes.map((stride) => {
    const start = at;
    at = Math.ceil((at + stride * slots) / 64) * 64;
    return start;
  });
  return { offsets, bytes: at + PAGE_BYTES };
}

function align(word: number): number {
  return Math.ceil(word / LINE) * LINE;
}
