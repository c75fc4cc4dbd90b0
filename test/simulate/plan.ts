/**
 * What a seed stands for: how many threads, how large everything is, and which faults happen (a random
 * subset of them, so that rare combinations come up). Every thread works it out for itself from the seed.
 */

import type { MemoryShape } from "../../src/memory/layout.ts";
import { Random } from "./random.ts";

export const INSTANCES_MAX = 3;
export const CALLERS_MAX = 3;
export const CHANNELS_MAX: number = CALLERS_MAX + 1;
/** Threads for instances beside their first: successors of them, and others while calls hang. */
const HUNG_MAX = 5;
const SPARES = INSTANCES_MAX + HUNG_MAX;
/** Thread 0 owns the pipe, then come the instances, then the callers, then the spare ones. */
export const THREADS: number = 1 + INSTANCES_MAX + CALLERS_MAX + SPARES;
export const SLOTS_MAX = 40;
/** Elements of the shortest row; each further shape has one more. */
export const ROW_ELEMENTS = 4;
export const SHAPES_MAX = 5;

/** `attached` goes through `attach()`, `bare` uses a channel itself and gives rows up now and then. */
export type CallerKind = "attached" | "bare";

export interface Faults {
  /** Deaths of instances, all together; five close the pipe. */
  instanceDeaths: number;
  callerDeaths: number;
  /** One access in so many, 0 never. */
  deathOneIn: number;
  spuriousOneIn: number;
  freezeOneIn: number;
  /** The clock jumps although threads are ready: everything comes late. */
  lateOneIn: number;
  poisonOneIn: number;
  /** One request in so many has a timeout, or is aborted. */
  timeoutOneIn: number;
  abortOneIn: number;
  /** Calls that hang, all together; each comes back in the end, or when it is asked to. */
  hangs: number;
  hangOneIn: number;
  /** The engine reports failed rows one by one instead of failing the batch. */
  failsByRow: boolean;
  /** A whole batch fails for good, as when the device is lost. */
  batchOneIn: number;
  /** At which access the pipe is closed, with whoever makes it held up for a moment; 0: when all is done. */
  closeStep: number;
}

export interface Plan {
  seed: number;
  shape: MemoryShape;
  callers: readonly CallerKind[];
  shapes: number;
  batchingTimeoutMs: number;
  /** 0: calls may take as long as they like. Where there is a bound, threads do not die of themselves. */
  runTimeoutMs: number;
  spinUs: number;
  /** Requests of each caller, the owner's own too. */
  requests: number;
  rowsMax: number;
  /** Longest run of a batch. */
  runMs: number;
  /** Longest pause between two requests. */
  thinkMs: number;
  /** Longest timeout of a request, and longest time until it is aborted. */
  patienceMs: number;
  priorities: boolean;
  /** How often all instances change over to another model, and one in so many is given up half way. */
  reloads: number;
  reloadFailsOneIn: number;
  /** How far the clock goes with each access. */
  stepMs: number;
  /** The clock shows multiples of this alone. */
  coarseMs: number;
  /** Another thread goes on after one access in so many. */
  switchOneIn: number;
  /** One thread at a time rarely gets its turn; which one changes after so many accesses, 0: none is slow. */
  slowFor: number;
  /** Where tails, heads, bells and wake words begin, and the slots' generations. */
  counterStart: number;
  generationStart: number;
  faults: Faults;
}

export function makePlan(seed: number): Plan {
  const random = Random.of(seed);
  const slots = random.pick([1, 2, 3, 5, 8, 33, SLOTS_MAX, SLOTS_MAX]);
  const maxRows = Math.min(slots, random.pick([1, 2, 3, 4, 8]));
  const shapes = random.pick([1, 1, 2, 3, SHAPES_MAX]);
  const callers = Array.from({ length: random.below(CALLERS_MAX + 1) }, () =>
    random.pick<CallerKind>(["attached", "attached", "bare"]),
  );
  const faults = makeFaults(random);
  const runTimeoutMs = Random.of(~seed).pick([0, 0, 0, 5, 40]);
  if (runTimeoutMs > 0) Object.assign(faults, makeHangs(Random.of(~seed ^ 0x55aa)));
  return {
    seed,
    shape: makeShape(random, slots, maxRows, shapes, callers.length),
    callers,
    shapes,
    batchingTimeoutMs: random.pick([0, 0, 1, 5, 50]),
    runTimeoutMs,
    spinUs: random.pick([0, 0, 20, 100]),
    requests: random.between(2, 12),
    rowsMax: random.pick([1, 1, 2, 4, 10, 20]),
    runMs: random.pick([0, 0.3, 3]),
    thinkMs: random.pick([0, 0.2, 2, 10]),
    patienceMs: random.pick([0.1, 1, 5]),
    priorities: random.oneIn(2),
    stepMs: random.pick([0.001, 0.005, 0.02, 0.1]),
    coarseMs: random.pick([0, 0, 0.1, 1]),
    switchOneIn: random.pick([1, 2, 2, 4, 10, 40]),
    slowFor: random.pick([0, 30, 100, 1000]),
    counterStart: random.pick([0, 0x7fffffff - 2, -3, -1]),
    generationStart: random.pick([0, 0x7ffe, 0xfffe]),
    faults,
    reloads: random.pick([0, 0, 1, 3]),
    reloadFailsOneIn: random.pick([0, 3]),
  };
}

/** All threads that play in a plan; the spare ones come last. */
export function threadsOf({ shape, callers, runTimeoutMs, reloads }: Plan): number[] {
  const spares = (runTimeoutMs > 0 ? HUNG_MAX : 0) + (reloads > 0 ? shape.instances : 0);
  return Array.from({ length: 1 + shape.instances + callers.length + spares }, (_, t) => t);
}

/** Those among them that an instance may run on. */
export function seatsOf(plan: Plan): number[] {
  return threadsOf(plan).filter((thread) => isSeat(plan, thread));
}

/** Whether an instance may run on this thread. */
export function isSeat({ shape, callers }: Plan, thread: number): boolean {
  const isFirst = thread >= 1 && thread <= shape.instances;
  return isFirst || thread > shape.instances + callers.length;
}

function makeShape(
  random: Random,
  slots: number,
  maxRows: number,
  shapes: number,
  callers: number,
): MemoryShape {
  const longest = (ROW_ELEMENTS + shapes - 1) * 4;
  return {
    instances: random.between(1, INSTANCES_MAX),
    // One place fewer than callers now and then: somebody has to wait, or to inherit.
    channels: Math.max(1, 1 + callers - (random.oneIn(4) ? 1 : 0)),
    slots,
    maxRows,
    inputDims: shapes === 1 ? 0 : 1,
    outputDims: 0,
    strideBytes: [longest, ROW_ELEMENTS * 4],
    groups: shapes === 1 ? 1 : random.between(1, 4),
  };
}

function makeFaults(random: Random): Faults {
  const sometimes = <T>(value: T, otherwise: T): T => (random.oneIn(3) ? value : otherwise);
  return {
    instanceDeaths: sometimes(random.pick([1, 2, 4, 4, 7]), 0),
    callerDeaths: sometimes(random.between(1, 3), 0),
    deathOneIn: random.pick([30, 100, 300, 1000]),
    spuriousOneIn: sometimes(random.pick([10, 100]), 0),
    freezeOneIn: sometimes(random.pick([50, 500]), 0),
    lateOneIn: sometimes(random.pick([50, 500]), 0),
    poisonOneIn: sometimes(random.pick([2, 6]), 0),
    timeoutOneIn: sometimes(random.pick([2, 6]), 0),
    abortOneIn: sometimes(random.pick([2, 6]), 0),
    failsByRow: random.oneIn(3),
    batchOneIn: sometimes(4, 0),
    hangs: 0,
    hangOneIn: 0,
    closeStep: random.oneIn(2) ? random.between(20, random.pick([200, 600, 2000])) : 0,
  };
}

/** Threads that are given up take the place of threads that die. */
function makeHangs(random: Random): Partial<Faults> {
  return { instanceDeaths: 0, hangs: random.pick([1, 2, 4, 4, 6]), hangOneIn: random.pick([1, 3, 8]) };
}
