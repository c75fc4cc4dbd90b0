/**
 * What tests may ask of a pipe that no user has a reason to: environment variables that count only beside
 * TRTPIPE_TEST_HOOKS=1. They are read once, by whoever makes or attaches a pipe. Nothing of this lies on a
 * request's path unless it was asked for: the functions that it slows are wrapped then.
 *
 * TRTPIPE_TEST_SEQ0: where counters that wrap begin. TRTPIPE_TEST_HOLD_BATCHER: no instance looks before so
 * many rows are queued. TRTPIPE_TEST_DELAY_SUBMIT, _DISPATCH, _COMPLETE, _FREE: microseconds before a row is
 * published, before a batch runs, before its rows are answered, before a slot is free again.
 * TRTPIPE_TEST_KILL=INSTANCE@N: that instance's thread ends in place of its N-th run; what replaces it lives.
 */

import { ConfigError } from "./errors.ts";
import { atomics } from "./memory/atomics.ts";
import type { Channel } from "./memory/channel.ts";
import { InstanceWord } from "./memory/layout.ts";
import { Gate } from "./memory/pool.ts";
import type { Pool } from "./memory/pool.ts";
import type { Execute } from "./scheduler/instance.ts";

/** Numbers of 0 ask for nothing. */
export interface Hooks {
  seq0: number;
  holdRows: number;
  submitUs: number;
  dispatchUs: number;
  completeUs: number;
  freeUs: number;
  /** null: nobody. */
  kill: { instance: number; run: number } | null;
}

/** What a runtime allows to read of its environment. */
type Environment = (name: string) => string | undefined;

/** null: none was asked for, as in every process that is not under test. */
export function readHooks(environment: Environment): Hooks | null {
  if (environment("TRTPIPE_TEST_HOOKS") !== "1") return null;
  const number = (name: string, max: number): number => {
    const text = environment(name) ?? "0";
    const value = Number(text);
    if (text !== "" && Number.isInteger(value) && Math.abs(value) <= max) return value;
    throw new ConfigError(name, text, `an integer up to ${max}`);
  };
  return {
    seq0: number("TRTPIPE_TEST_SEQ0", 2 ** 32),
    holdRows: number("TRTPIPE_TEST_HOLD_BATCHER", 65_536),
    submitUs: number("TRTPIPE_TEST_DELAY_SUBMIT", 1e7),
    dispatchUs: number("TRTPIPE_TEST_DELAY_DISPATCH", 1e7),
    completeUs: number("TRTPIPE_TEST_DELAY_COMPLETE", 1e7),
    freeUs: number("TRTPIPE_TEST_DELAY_FREE", 1e7),
    kill: readKill(environment("TRTPIPE_TEST_KILL")),
  };
}

function readKill(text: string | undefined): Hooks["kill"] {
  if (text === undefined || text === "") return null;
  const [, instance, run] = /^(\d+)@([1-9]\d*)$/.exec(text) ?? [];
  if (run === undefined) throw new ConfigError("TRTPIPE_TEST_KILL", text, '"INSTANCE@N", N from 1');
  return { instance: Number(instance), run: Number(run) };
}

/** Lets the counters of a new pipe begin elsewhere, before any thread has seen them. */
export function windCounters({ seq0 }: Hooks, pool: Pool, channels: readonly Channel[]): void {
  if (seq0 === 0) return;
  for (const { control, layout } of channels) {
    for (const at of [layout.head, layout.tail, layout.bell]) atomics.store(control, at, seq0 | 0);
  }
  for (let i = 0; i < pool.shape.instances; i++) {
    atomics.store(pool.words, pool.layout.instances + i * InstanceWord.words + InstanceWord.wake, seq0 | 0);
  }
}

/** Makes a caller's channel slow where that was asked for. */
export function slowCaller({ submitUs, freeUs }: Hooks, channel: Channel, nowMs: () => number): void {
  const { publish, recycle } = channel;
  if (submitUs > 0) {
    channel.publish = (slot) => {
      spin(submitUs, nowMs);
      publish.call(channel, slot);
    };
  }
  if (freeUs > 0) {
    channel.recycle = (slot, word) => {
      spin(freeUs, nowMs);
      return recycle.call(channel, slot, word);
    };
  }
}

/** A run as an instance makes it under these hooks; `end` ends its thread. */
export function slowRuns(
  { dispatchUs, completeUs, kill }: Hooks,
  me: number,
  execute: Execute,
  nowMs: () => number,
  end: () => void,
): Execute {
  let runs = 0;
  return (batch, from, rows, run) => {
    if (kill !== null && kill.instance === me && ++runs === kill.run) end();
    if (dispatchUs > 0) spin(dispatchUs, nowMs);
    const answer = execute(batch, from, rows, run);
    if (completeUs > 0) spin(completeUs, nowMs);
    return answer;
  };
}

/** Keeps an instance's thread until so many rows are queued, or the pipe closes. */
export function hold({ holdRows }: Hooks, pool: Pool, channels: readonly Channel[]): void {
  if (holdRows === 0) return;
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  const queued = (): number =>
    channels.reduce(
      (sum, { control, layout }) =>
        sum + ((atomics.load(control, layout.tail) - atomics.load(control, layout.head)) | 0),
      0,
    );
  while (pool.gate <= Gate.open && queued() < holdRows) atomics.wait(nobody, 0, 0, 1);
}

function spin(us: number, nowMs: () => number): void {
  const untilMs = nowMs() + us / 1000;
  while (nowMs() < untilMs);
}
