/** Two ways to load a target: clients that wait for their answers, and arrivals that wait for nobody. */

import { setTimeout as sleep } from "node:timers/promises";
import { Recorder, type Figures } from "./figures.ts";
import { mulberry32 } from "./random-input.ts";
import type { Target } from "./target.ts";

export interface Times {
  warmUpMs: number;
  /** Longer, up to ten times, until there were `atLeast` answers. */
  measureMs: number;
  atLeast: number;
  signal: AbortSignal;
  /** Called now and then with the share of the time that is over, 0 to 1. */
  tick(fraction: number): void;
}

/** A failed request is followed by a pause, so that a target that refuses at once is not flooded. */
const PAUSE_AFTER_FAILURE_MS = 1;
const TICK_MS = 200;
const LONGEST = 10;

/** `clients` send one request each and the next when it is answered. */
export async function closedLoop(target: Target, clients: number, times: Times): Promise<Figures> {
  const recorder = new Recorder();
  const state = { stopped: false };
  const client = async (): Promise<void> => {
    while (!state.stopped) {
      const from = performance.now();
      try {
        await target.send();
        if (!state.stopped) recorder.answered(performance.now() - from);
      } catch (error) {
        if (!state.stopped) recorder.failed(error);
        await sleep(PAUSE_AFTER_FAILURE_MS);
      }
    }
  };
  const all = Promise.all(Array.from({ length: clients }, client));
  try {
    return { clients, ...(await measure(target, recorder, times)) };
  } finally {
    state.stopped = true;
    await all;
  }
}

/**
 * Requests arrive as a Poisson process of `rate` a second. Latency counts from the moment that a request was
 * due, so that a target that stalls is charged for all who would have come meanwhile.
 */
export async function openLoop(target: Target, rate: number, seed: number, times: Times): Promise<Figures> {
  const recorder = new Recorder();
  const random = mulberry32(seed);
  const underWay = new Set<Promise<void>>();
  const state = { stopped: false };
  let dueMs = performance.now();
  const send = async (fromMs: number): Promise<void> => {
    try {
      await target.send();
      if (!state.stopped) recorder.answered(performance.now() - fromMs);
    } catch (error) {
      if (!state.stopped) recorder.failed(error);
    }
  };
  const arrivals = async (): Promise<void> => {
    while (!state.stopped) {
      for (const nowMs = performance.now(); dueMs <= nowMs; dueMs += gapMs(rate, random)) {
        const one = send(dueMs).finally(() => underWay.delete(one));
        underWay.add(one);
      }
      await sleep(Math.max(0, dueMs - performance.now()));
    }
  };
  const all = arrivals();
  try {
    return { rate, ...(await measure(target, recorder, times)) };
  } finally {
    state.stopped = true;
    await all;
    await Promise.all(underWay);
  }
}

function gapMs(rate: number, random: () => number): number {
  return (-Math.log(1 - random()) / rate) * 1000;
}

/** Warms up, measures, and lets the caller see how far it is. Throws the signal's reason. */
async function measure(
  target: Target,
  recorder: Recorder,
  { warmUpMs, measureMs, atLeast, signal, tick }: Times,
): Promise<Omit<Figures, "clients" | "rate">> {
  const startMs = performance.now();
  const until = async (endMs: number): Promise<void> => {
    for (let nowMs = performance.now(); nowMs < endMs; nowMs = performance.now()) {
      signal.throwIfAborted();
      tick(Math.min(1, (nowMs - startMs) / (warmUpMs + measureMs)));
      await sleep(Math.min(TICK_MS, endMs - nowMs));
    }
    signal.throwIfAborted();
  };
  await until(startMs + warmUpMs);
  recorder.begin(performance.now(), await target.counters());
  const fromMs = performance.now();
  await until(fromMs + measureMs);
  while (recorder.answers < atLeast && performance.now() < fromMs + measureMs * LONGEST) {
    await until(performance.now() + TICK_MS);
  }
  return recorder.end(performance.now(), await target.counters());
}
