/** The public types of a pipe: what goes in, what comes out, and what a pipe tells about itself. */
import type { BuildProgress } from "./build-watch.ts";
import type { DeviceTensor } from "./device-tensor.ts";
import type { ImageOptions, PrecisionOptions, TensorrtOptions } from "./options.ts";
import type { ReloadOptions } from "./reload-options.ts";
import type { Tensor, TensorData } from "./tensor.ts";
import type { PipeStats } from "./stats-types.ts";

export type { ImageOptions, PrecisionOptions, TensorrtOptions };

/** `text` as a person reads it; `fields` the same as data. */
export type Log = (
  level: "debug" | "info" | "warn" | "error",
  text: string,
  fields: Record<string, unknown>,
) => void;

/**
 * What `pipe()` takes. The names are TorchPipe's, and every number may also be given as its strings ("2").
 * Unknown keys are a ConfigError.
 */
export interface PipeConfig extends TensorrtOptions, ImageOptions, PrecisionOptions {
  /**
   * The ONNX model: a path, a file URL, or the file's bytes. Or an engine of TensorRT: a path that ends with
   * .trt, .engine or .plan. Not used by `Identity`.
   */
  model?: string | URL | Uint8Array;
  /**
   * Bracket expression, e.g. `"SyncTensor[OnnxTensor]"`, or `"Process[OnnxTensor]"` for a child process per
   * instance. Default: TensorRT where it can run, else `OnnxTensor`.
   */
  backend?: string;
  /** Model instances that run in parallel, each on a thread of its own: 1..64. Default 1. */
  instance_num?: number | string;
  /**
   * Longest wait in ms, counted from the call, for a batch to fill while instances are busy. Default 0: take
   * what is there.
   */
  batching_timeout?: number | string;
  /**
   * Longest time in ms that one call of the engine may take, 0: no limit. One that takes longer is asked to
   * end, and given up with its thread half a second later. With `Process[X]` its process is killed. Default
   * 0.
   */
  run_timeout?: number | string;
  /**
   * Largest batch in rows (`4`), or the largest full shape of every input (`"4x3x640x640"`, `,` between
   * inputs), which a model with open inner dimensions needs. Default: the model's own batch size, else 1.
   */
  max?: number | string;
  /** Smallest batch in rows, or smallest full shape; smaller batches are padded with zero rows. Default 1. */
  min?: number | string;
  /** Rows that one caller may have in flight, at most 65 536. Default 1024, or what fits in 1 GiB. */
  max_queue?: number | string;
  /** Threads that may call: the owner, and one for each `attach`. 1..256. Default 16. */
  max_callers?: number | string;
  /**
   * Threads that one instance computes with. Default: the machine's cores shared out between instances, at
   * least 1.
   */
  intra_op_threads?: number | string;
  /**
   * `OnnxTensor`: one `"shared"` session for all instances, or one of its `"own"` for each. Default
   * `"shared"`. In `Process[OnnxTensor]` every instance has its own.
   */
  session?: "shared" | "own";
  /** Runs of each batch size bound (1 and max) per instance before `pipe()` resolves: 0..1000. Default 1. */
  warm_up?: number | string;
  /**
   * Whether to compare, before `pipe()` resolves, a batch of `max` sample rows with those rows alone. Where
   * they differ, `max` is lowered, with a line in the log, or it is a ModelLoadError. Default true.
   */
  self_check?: boolean | 0 | 1 | "0" | "1";
  /**
   * Longest busy wait in microseconds for the next request before a thread sleeps: 0..10 000. Default 100;
   * 1000 with `TensorrtTensor` where the machine has two cores more than the pipe has instances.
   */
  spin_us?: number | string;
  /**
   * Path of libonnxruntime. Default: `TRTPIPE_ONNXRUNTIME`, the npm package onnxruntime-node, the loader's
   * path.
   */
  onnxruntime?: string;
  /** Receives what a person running this should know. Default: warnings and errors to stderr. */
  log?: Log;
  /**
   * Where the instance threads' script is, for bundles that lost it. Default `TRTPIPE_WORKER`, else beside
   * this file.
   */
  workerUrl?: string | URL;
}

export interface PipeOptions {
  /**
   * Cancels loading; `pipe()` then rejects with the signal's reason. An engine that is being built is given
   * up: the process that builds it is ended, and nothing of it stays. Not so with `Process[TensorrtTensor]`,
   * whose child processes build by themselves.
   */
  signal?: AbortSignal;
  /**
   * Called on this thread's event loop while an engine is built, whenever there is something new; never with
   * `Process[TensorrtTensor]`.
   */
  onProgress?: (progress: BuildProgress) => void;
}

/** A tensor's bytes, in the machine's byte order, in any number of pieces: each may end anywhere. */
export type ByteChunks = readonly Uint8Array[];

/** A tensor whose data came in pieces, as off a socket. They are copied straight into the pipe's memory. */
export interface ChunkedTensor {
  readonly data: ByteChunks;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
}

/** What `data` may be: one tensor for a model of one input, or one for each input by name. */
export type InputValue = Tensor | DeviceTensor | TensorData | ChunkedTensor | ByteChunks;
export type InputData = InputValue | Readonly<Record<string, InputValue>>;

/** A request. Other properties are the caller's own and left alone. */
export interface PipeInput {
  /**
   * Batch dimension first (rows). A bare typed array, or bare chunks of bytes, are given the model's shape.
   * Copied before the call returns; a DeviceTensor is kept until the request is done, and must not be written
   * to meanwhile.
   */
  data: InputData;
  /**
   * Set when the inference succeeded, absent otherwise: a Tensor (with `output: "device"`, a DeviceTensor
   * that the caller disposes of), or a record by name if the model has several outputs.
   */
  result?: Tensor | DeviceTensor | Readonly<Record<string, Tensor | DeviceTensor>>;
}

/** `"high"` goes before `"normal"`, and that before `"low"`. */
export type Priority = "high" | "normal" | "low";

/** How one request is to be run. */
export interface CallOptions {
  /**
   * Gives the request up when it is aborted: the promise rejects at once with the signal's reason. A request
   * that waits never runs then; one that runs keeps its place in `max_queue` until its run ends.
   */
  signal?: AbortSignal;
  /**
   * ms from the call, above 0: the request is given up after that, with TimeoutError, also while every
   * instance is busy. Default: none.
   */
  timeout?: number;
  /**
   * Which of the waiting requests go first. One that has waited for a second goes before all younger ones,
   * whatever their priority. Default `"normal"`.
   */
  priority?: Priority;
}

/** A request that was answered. */
export type Answered<I extends PipeInput> = I & { result: NonNullable<PipeInput["result"]> };

/** What the owner of a pipe and every thread that attached to it may do with it. */
export interface PipeCalls {
  /**
   * Runs one request, or several as if each had been called on its own. Resolves with the same object(s),
   * `result` set. Rejects with InputError, QueueFullError, TimeoutError, the signal's reason, ExecutionError,
   * InstanceLostError, DeviceLostError or PipeClosedError; with several, each is settled first and the first
   * error is the rejection. Never throws synchronously.
   */
  <I extends PipeInput>(input: I, options?: CallOptions): Promise<Answered<I>>;
  <I extends PipeInput>(inputs: readonly I[], options?: CallOptions): Promise<Answered<I>[]>;
  /** The same as calling the pipe itself. */
  forward: {
    <I extends PipeInput>(input: I, options?: CallOptions): Promise<Answered<I>>;
    <I extends PipeInput>(inputs: readonly I[], options?: CallOptions): Promise<Answered<I>[]>;
  };
  /**
   * Resolves when this thread can queue `rows` more rows (default 1) without a QueueFullError; first come,
   * first served. Rejects with InputError, or with PipeClosedError when the pipe is closed.
   */
  room(rows?: number): Promise<void>;
  /** What was loaded, and how. */
  describe(): PipeDescription;
  /** Counters since the pipe was made. */
  stats(): PipeStats;
  /** A plain object that can be posted to any Worker of this process, there to be given to `attach`. */
  share(): SharedPipe;
  /** Stops admission, finishes what was admitted, ends the instances. May be called more than once. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A loaded model that any number of callers may call at once. */
export interface Pipe extends PipeCalls {
  /**
   * Puts another model in place of the one that is served, under load: see ReloadOptions. Resolves when every
   * instance runs it; requests that are called from then on do, too. Rejects with ModelLoadError,
   * ConfigError, the signal's reason or PipeClosedError, and the model that was served is served on.
   */
  reload(options?: ReloadOptions): Promise<void>;
}

/** A pipe as another thread sees it. `close()` gives up this thread's place; the pipe itself goes on. */
export interface AttachedPipe extends PipeCalls {
  /**
   * Runs one request and blocks this thread until it is answered, or its timeout passed. A signal can only
   * have been aborted before, as nothing else runs on this thread meanwhile. Throws on a main thread. Throws
   * what a call rejects with.
   */
  sync<I extends PipeInput>(input: I, options?: CallOptions): Answered<I>;
}

/** One input or output of the loaded model. */
export interface TensorSpec {
  name: string;
  dtype: Dtype;
  /** Full shape, the batch dimension first where there is one; -1 is open. null: the model does not say. */
  shape: readonly number[] | null;
}

export type Dtype =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "bool";

export interface PipeDescription {
  /** The backend that runs, e.g. "OnnxTensor". */
  backend: string;
  /** Why this backend: "configured", or what kept a better one from running. */
  backendReason: string;
  /** e.g. "ONNX Runtime 1.30.0". */
  engine: string;
  /** Path of the engine's library; empty if the backend is built in. */
  engineLibrary: string;
  /** How the C library is called: "koffi", "bun:ffi", "deno" or "node:ffi". */
  binding: string;
  /** e.g. "node 20.20.2". */
  runtime: string;
  /** Path of the model, or "bytes". */
  model: string;
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
  /**
   * Whether batches are joined along an open ("dynamic") or given ("fixed") first dimension, or not at all
   * ("none").
   */
  batch: "dynamic" | "fixed" | "none";
  instanceNum: number;
  max: number;
  min: number;
  batchingTimeoutMs: number;
  /** 0: none. */
  runTimeoutMs: number;
  maxQueue: number;
  maxCallers: number;
  intraOpThreads: number;
  session: "shared" | "own";
  /** How often another model was put in place by `reload()`. */
  reloads: number;
  /** CUDA devices that instances run on, in turn; empty where data is in host memory alone. */
  devices: readonly number[];
}

/** What `share()` gives: buffers and plain data. Opaque; pass it to `attach`. */
export interface SharedPipe {
  readonly trtpipe: number;
  readonly pid: number;
}
