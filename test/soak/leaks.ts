/** Leaks on purpose, one more at each quiescent point: what a soak has to notice. */

import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { attach } from "trtpipe";
import { Fault } from "../support/fault.ts";
import type { Load } from "./load.mjs";
import type { Pipes } from "./pipes.ts";
import { MIB, SHORT_LIMIT_MIB } from "./verdict.ts";
import type { Fault as Found } from "./verdict.ts";

export interface Leak {
  /** The counter that has to show it. */
  shows: Found["what"];
  once(this: void, pipes: Pipes, load: Load): void;
}

/** Beyond the reach of the collector. */
const kept: unknown[] = [];
const BYTES = SHORT_LIMIT_MIB * MIB;

export const LEAKS: Readonly<Record<string, Leak>> = {
  slot: {
    shows: "slots",
    // The first row sleeps for longer than anybody looks, and the others wait behind it.
    once: ({ spare }) => {
      const opcode = spare.stats().inFlight === 0 ? Fault.sleepMs : Fault.none;
      void spare({ data: Float32Array.of(opcode, 8000, 0) });
    },
  },
  handle: { shows: "handles", once: ({ identity }) => void kept.push(attach(identity.share())) },
  heap: {
    shows: "heap",
    once: () => void kept.push(Array.from({ length: BYTES / 64 }, (_, i) => ({ i, text: `${i}` }))),
  },
  thread: {
    shows: "threads",
    once: () => {
      const script = "require('node:worker_threads').parentPort.on('message', () => {})";
      kept.push(new Worker(script, { eval: true }));
    },
  },
  fd: { shows: "fds", once: () => void kept.push(openSync("/dev/null", "r")) },
  child: {
    shows: "children",
    once: () => {
      const child = spawn("sleep", ["60"], { stdio: "ignore" });
      process.once("exit", () => child.kill());
    },
  },
  listener: {
    shows: "listeners",
    once: (_, load) => load.lasting.signal.addEventListener("abort", () => {}),
  },
  rss: { shows: "rss", once: () => void kept.push(new Uint8Array(new SharedArrayBuffer(BYTES)).fill(1)) },
};
