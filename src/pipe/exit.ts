/**
 * The end of the process while native calls go on. Node waits for its threads then, also for one that hangs
 * in an engine. So what runs is asked to end, and where that is of no use the C library ends the process.
 * Other runtimes do not wait.
 */

import { writeSync } from "node:fs";
import { inspect } from "node:util";
import { isMainThread } from "node:worker_threads";
import { callOf, threadsAway } from "../memory/calls.ts";
import type { Pool } from "../memory/pool.ts";

/** How long calls that go on when the process ends have for their own end. */
export const EXIT_MS = 1000;
const LOOK_MS = 2;

/** A pipe as the end of the process sees it. */
export interface Guarded {
  readonly pool: Pool;
  /** Asks a run to end. */
  interrupt(instance: number, run: number): void;
  /** Ends the process at once. */
  exitProcess(code: number): never;
}

const guarded = new Set<Guarded>();
/** What nobody caught: Node prints it only after the listeners, and so not at all if one of them ends it. */
let uncaught: { error: unknown } | null = null;
let installed = false;

/** From here on the process can end although a call of this pipe hangs. */
export function guardExit(pipe: Guarded): void {
  const { bun, deno } = process.versions as Record<string, string | undefined>;
  // At the end of a Worker there may be others who go on.
  if (!isMainThread || bun || deno) return;
  guarded.add(pipe);
  if (installed) return;
  installed = true;
  process.on("exit", onExit);
  process.on("uncaughtExceptionMonitor", (error: unknown) => {
    uncaught = { error };
    // Whoever still comes here has caught it after all.
    setImmediate(() => (uncaught = null)).unref();
  });
}

/** The pipe is closed. If a call of it hangs, the process still has to end over it. */
export function unguardExit(pipe: Guarded): void {
  if (!hasThreadsAway(pipe)) guarded.delete(pipe);
}

function onExit(code: number): void {
  const running = [...guarded].flatMap(callsOf);
  for (const { pipe, instance, word } of running) pipe.interrupt(instance, word >>> 0);
  const untilMs = performance.now() + EXIT_MS;
  while (running.some(goesOn) && performance.now() < untilMs) pause();
  const hung = running.find(goesOn)?.pipe ?? [...guarded].find(hasThreadsAway);
  if (hung === undefined) return;
  if (uncaught !== null) writeSync(2, `Uncaught ${inspect(uncaught.error)}\n`);
  runLaterListeners(code);
  hung.exitProcess(Number(process.exitCode ?? code));
}

interface Running {
  pipe: Guarded;
  instance: number;
  word: number;
}

function callsOf(pipe: Guarded): Running[] {
  return Array.from({ length: pipe.pool.shape.instances }, (_, instance) => instance).flatMap((instance) => {
    const call = callOf(pipe.pool, instance);
    return call === null ? [] : [{ pipe, instance, word: call.word }];
  });
}

/** Whether it is still that call: nobody waits for the ones that come after it. */
function goesOn({ pipe, instance, word }: Running): boolean {
  return callOf(pipe.pool, instance)?.word === word;
}

function hasThreadsAway({ pool }: Guarded): boolean {
  for (let i = 0; i < pool.shape.instances; i++) if (threadsAway(pool, i) > 0) return true;
  return false;
}

/** Those that would come after this one, which does not return. */
function runLaterListeners(code: number): void {
  const listeners = process.listeners("exit");
  for (const listener of listeners.slice(listeners.indexOf(onExit) + 1)) {
    try {
      listener.call(process, code);
    } catch (error) {
      writeSync(2, `Uncaught ${inspect(error)}\n`);
    }
  }
}

const nobody = new Int32Array(new SharedArrayBuffer(4));

function pause(): void {
  Atomics.wait(nobody, 0, 0, LOOK_MS);
}
