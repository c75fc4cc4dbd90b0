/** What a measured process says about itself. Runs in Node, Bun and Deno alike. */

import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { percentile, Samples } from "./stats.ts";

export type Runtime = "node" | "bun" | "deno";

/** Paths are relative to the repository's root, where the bench runs. */
export const RUNTIME_PATHS: Record<Runtime, string> = {
  node: process.execPath,
  bun: "node_modules/.bin/bun",
  deno: "node_modules/.bin/deno",
};

export function thisRuntime(): Runtime {
  if ("Deno" in globalThis) return "deno";
  return "Bun" in globalThis ? "bun" : "node";
}

/** CPU time of all threads of this process since its start, in microseconds. */
export function cpuMicroseconds(): number {
  const usage = process.cpuUsage();
  return usage.user + usage.system;
}

/**
 * Largest resident set of this process so far, in MB (2^20 bytes); the present one where the system keeps no
 * record.
 */
export function peakResidentMb(): number {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
    if (line) return Number(line[1]) / 1024;
  } catch {
    // Not Linux.
  }
  return process.memoryUsage().rss / 2 ** 20;
}

/**
 * How often the timer of the event-loop delay fires. At 1 ms, waking this thread took up to 2 % of the two
 * cores from those that compute.
 */
const DELAY_TIMER_MS = 10;

/** By how many milliseconds a timer of `DELAY_TIMER_MS` is late: about 0.1 on an idle loop. */
export interface LoopDelay {
  p50: number;
  p99: number;
  max: number;
}

/** Watches this thread's event loop from `start` to `stop`. */
export interface LoopDelayMonitor {
  start(): void;
  stop(): LoopDelay;
}

export function loopDelayMonitor(): LoopDelayMonitor {
  return thisRuntime() === "node" ? histogramMonitor() : timerMonitor();
}

function late(betweenFiringsMs: number): number {
  return Math.max(0, betweenFiringsMs - DELAY_TIMER_MS);
}

function histogramMonitor(): LoopDelayMonitor {
  const histogram = monitorEventLoopDelay({ resolution: DELAY_TIMER_MS });
  let startedAt = 0;
  return {
    start: () => {
      startedAt = performance.now();
      histogram.enable();
    },
    stop: () => {
      histogram.disable();
      const whole = performance.now() - startedAt;
      // The timer never fired: the loop was blocked all the time.
      if (histogram.count === 0) return { p50: late(whole), p99: late(whole), max: late(whole) };
      return {
        p50: late(histogram.percentile(50) / 1e6),
        p99: late(histogram.percentile(99) / 1e6),
        max: late(histogram.max / 1e6),
      };
    },
  };
}

/**
 * The same by hand: Bun's histogram leaves the interval out, and Deno's does not see a blocked loop at all.
 */
function timerMonitor(): LoopDelayMonitor {
  const delays = new Samples();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = 0;
  const fired = (): void => {
    const now = performance.now();
    delays.add(late(now - last));
    last = now;
    timer = setTimeout(fired, DELAY_TIMER_MS);
  };
  return {
    start: () => {
      last = performance.now();
      timer = setTimeout(fired, DELAY_TIMER_MS);
    },
    stop: () => {
      clearTimeout(timer);
      delays.add(late(performance.now() - last));
      const sorted = delays.sorted();
      return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: percentile(sorted, 1) };
    },
  };
}
