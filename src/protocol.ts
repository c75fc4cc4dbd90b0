/**
 * What the owner of a pipe and an instance thread tell each other. Messages only start a thread and report
 * its end; nothing of a request travels this way.
 */

import type { PlainError } from "./errors.ts";
import type { Hooks } from "./hooks.ts";
import type { ChannelBuffers, MemoryShape } from "./memory/layout.ts";
import type { ImageInput } from "./onnx/image-input.ts";
import type { Conversion } from "./onnx/precision.ts";

/** Options of the C library, in its own words. */
export type EngineOptions = readonly (readonly [string, string])[];

/** One way to load the model; several are tried in order. */
export interface EngineCandidate {
  backend: string;
  options: EngineOptions;
  /** The same for each further device: the model is loaded once on each. */
  more: readonly EngineOptions[];
  /**
   * How the graph is converted: always, or if the engine asks for it, because it takes a model's types as
   * they are. null: never.
   */
  conversion: (Conversion & { when: "always" | "asked" }) | null;
}

/** First message to the loading instance. */
export interface LoadMessage {
  kind: "load";
  /** Path of the C library, empty to look for it. */
  library: string;
  /** Path of the model, empty when bytes are given or the backend needs none. */
  path: string;
  bytes: Uint8Array | null;
  /** What is put in front of the model; null: nothing. */
  image: ImageInput | null;
  candidates: readonly EngineCandidate[];
}

/** The model is loaded: what the engine says about it. */
export interface LoadedMessage {
  kind: "loaded";
  /** Handles in the C library, one for each device, good in all threads of the process. */
  models: readonly number[];
  backend: string;
  /** What kept earlier candidates from running; empty if the first one did. */
  reason: string;
  /** It may compute in 16 bits, whatever was asked for: it has such weights, or nobody can see into it. */
  halves: boolean;
  description: unknown;
  library: string;
}

/** Second message to the loading instance, first to all others. */
export interface StartMessage {
  kind: "start";
  library: string;
  model: number;
  instance: number;
  /** 0: the instance's line is this thread's from the start. Else it waits until it is given the line. */
  ticket: number;
  shape: MemoryShape;
  pool: SharedArrayBuffer;
  channels: readonly ChannelBuffers[];
  /** The batch block of this thread's instance, which no other thread ever gets. */
  block: SharedArrayBuffer;
  minRows: number;
  /** Rows of the largest batch that is served, at most `shape.maxRows`; null: a ServeMessage will say. */
  servedRows: number | null;
  /** What this instance is to find out before anybody serves; null: nothing. */
  check: RowCheck | null;
  batchingTimeoutMs: number;
  spinUs: number;
  warmUp: number;
  inputs: readonly OpenDims[];
  outputs: readonly OpenDims[];
  /** Whether outputs stay in device memory; null: inputs cannot be there either. */
  deviceOutputs: boolean | null;
  /** What a test asks for; null outside of tests. */
  hooks: Hooks | null;
}

/**
 * Item shape of one tensor with -1 for what the model leaves open (null: rank unknown), and its largest item
 * shape.
 */
export interface OpenDims {
  shape: readonly number[] | null;
  largest: readonly number[] | null;
}

/** Whether a batch gives each row what the row gives alone. */
export interface RowCheck {
  /** Rows of the largest batch that is looked at. */
  maxRows: number;
  /** TP_* numbers of the inputs, then of the outputs. */
  dtypes: readonly number[];
  /** How far floats may be apart, relative to the largest one of the row's output. */
  tolerance: number;
}

export interface CheckReport {
  /** The largest batch that is right: the largest one of all, or what is found by halving it. */
  rows: number;
  /** What differs in the largest one; null: nothing, or it could not be told. */
  wrong: { batch: number; row: number; output: number; by: number; allowed: number } | null;
  /** Why it could not be told; empty if it could. */
  unsure: string;
}

/** To an instance that is made and waits: what to serve. */
export interface ServeMessage {
  kind: "serve";
  servedRows: number;
}

/** The pipe, or the reload, was given up before this thread was started, or while it waits: it ends. */
export interface LeaveMessage {
  kind: "leave";
}

export type ToInstance = LoadMessage | StartMessage | ServeMessage | LeaveMessage;

/** For whoever outlives a thread: its instance in the C library, and the block that this may write to. */
export interface HeldMemory {
  handle: number;
  block: SharedArrayBuffer;
}

export type FromInstance =
  | LoadedMessage
  /** Its instance is made and waits for a ServeMessage; `check` is what it found, if it was asked. */
  | ({ kind: "made"; check: CheckReport | null } & HeldMemory)
  /** It could serve, and waits for its turn. */
  | ({ kind: "prepared" } & HeldMemory)
  /** It serves from here on. */
  | ({ kind: "ready" } & HeldMemory)
  /** It has begun a call, and nobody watches: see scheduler/watchdog.ts. */
  | { kind: "running" }
  /** The loop ended, and all that is native was given back: the pipe closed, or the instance is another's. */
  | { kind: "closed" }
  | { kind: "failed"; error: PlainError };
