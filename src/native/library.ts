/**
 * The C library as the rest of the code calls it: typed values in and out, a NativeError where a call fails.
 * One object per thread, used by that thread alone: the last error, and the scratch memory here, belong to
 * it.
 */

import { TP_ERR_ARGUMENT, type Calls, type SYMBOLS } from "./abi.ts";
import type { BindingName } from "./binding.ts";
import { NativeDevice } from "./device.ts";

/** A call of the C library failed: one of TP_ERR_*, and what the library says about it. */
export class NativeError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "NativeError";
    this.status = status;
  }
}

/** What `describe()` tells about the build of the library. */
export interface LibraryDescription {
  readonly backends: readonly string[];
  readonly version: string;
}

type Bytes = ArrayBufferView | null;

export class Native {
  readonly binding: BindingName;
  /** Where the library was loaded from. */
  readonly path: string;
  /** Milliseconds of a monotonic clock that all threads of the process share. */
  readonly clockMs: () => number;
  /** Runs a batch and returns the status: the foreign function itself, with nothing around it. */
  readonly run: (instance: number, rows: number) => number;

  /** Device tensors. */
  readonly device: NativeDevice;

  readonly #calls: Calls<typeof SYMBOLS>;
  readonly #out = new Uint32Array(1);
  #text = new Uint8Array(1024);

  constructor(binding: BindingName, path: string, calls: Calls<typeof SYMBOLS>) {
    this.binding = binding;
    this.path = path;
    this.#calls = calls;
    this.clockMs = calls.tp_clock_ms;
    this.run = calls.tp_instance_run;
    this.device = new NativeDevice(calls, (status) => this.failure(status));
  }

  describe(): LibraryDescription {
    return JSON.parse(this.#read((text, cap) => this.#calls.tp_describe(text, cap))) as LibraryDescription;
  }

  /** Text of the last failure on this thread; empty if there was none. */
  lastError(): string {
    return this.#read((text, cap) => this.#calls.tp_last_error(text, cap));
  }

  /** The error for a status that a call has just returned on this thread. */
  failure(status: number): NativeError {
    return new NativeError(status, this.lastError() || `status ${status}, and the library says no more`);
  }

  /**
   * Loads a model and returns its handle. A key may occur more than once. Blocks for as long as the engine
   * takes.
   */
  openModel(options: readonly (readonly [key: string, value: string])[], bytes?: Uint8Array): number {
    const records = encodeOptions(options);
    const model = bytes === undefined ? null : filled("the model", bytes);
    const modelBytes = BigInt(model?.byteLength ?? 0);
    return this.#handle(this.#calls.tp_model_open(records, records.length, model, modelBytes, this.#out));
  }

  /** What the library tells about the model, parsed. */
  describeModel(model: number): unknown {
    u32("model", model);
    return JSON.parse(this.#read((text, cap) => this.#calls.tp_model_describe(model, text, cap)));
  }

  closeModel(model: number): void {
    this.#check(this.#calls.tp_model_close(u32("model", model)));
  }

  /** Makes an instance for batches of `minRows` to `maxRows` rows and returns its handle. */
  createInstance(model: number, maxRows: number, minRows: number): number {
    u32("model", model);
    u32("maxRows", maxRows);
    u32("minRows", minRows);
    return this.#handle(this.#calls.tp_instance_create(model, maxRows, minRows, this.#out));
  }

  /** Where tensor k lies in a payload: at `offsets[k]` + slot * `strides[k]` bytes. Copied. */
  bindLayout(instance: number, offsets: BigUint64Array, strides: BigUint64Array): void {
    u32("instance", instance);
    filled("offsets", offsets);
    filled("strides", strides);
    if (offsets.length !== strides.length) {
      throw wrong("strides", `${offsets.length} strides, as many as offsets`, `${strides.length}`);
    }
    this.#check(this.#calls.tp_instance_bind_layout(instance, offsets, strides, offsets.length));
  }

  /**
   * Binds one caller's payload, or takes the binding back (null). The memory must stay until
   * `destroyInstance`.
   */
  bindChannel(instance: number, index: number, payload: Uint8Array | null, slots: number): void {
    u32("instance", instance);
    u32("index", index);
    u32("slots", slots);
    const bytes = payload === null ? null : filled("payload", payload);
    const byteCount = BigInt(bytes?.byteLength ?? 0);
    this.#check(this.#calls.tp_instance_bind_channel(instance, index, bytes, byteCount, slots));
  }

  /** Binds the batch block. The memory must stay until `destroyInstance`. */
  bindBatch(instance: number, block: Uint8Array): void {
    u32("instance", instance);
    filled("block", block);
    this.#check(this.#calls.tp_instance_bind_batch(instance, block, BigInt(block.byteLength)));
  }

  /** Asks a running batch to end early; from any thread. */
  interrupt(instance: number): void {
    this.#check(this.#calls.tp_instance_interrupt(u32("instance", instance)));
  }

  /** The same for the run whose number is `run` (see BATCH_RUN), and no other. */
  interruptRun(instance: number, run: number): void {
    this.#check(this.#calls.tp_instance_interrupt_run(u32("instance", instance), u32("run", run)));
  }

  destroyInstance(instance: number): void {
    this.#check(this.#calls.tp_instance_destroy(u32("instance", instance)));
  }

  /** Live handles of the whole process. */
  handleCount(): number {
    return this.#calls.tp_handle_count();
  }

  /**
   * Copies all bytes of `from` to byte `at` of `to`; `flags` are of TP_COPY_*. Both may be shared memory, of
   * any length that they have now: they are used during the call alone.
   */
  copyIn(to: Uint8Array, at: number, from: Uint8Array, flags: number): void {
    const bytes = checkView("from", from).byteLength;
    if (bytes === 0) return;
    const room = checkView("to", to).byteLength - at;
    if (!(at >= 0 && bytes <= room)) throw wrong("from", `at most ${room} bytes for place ${at}`, `${bytes}`);
    this.#check(this.#calls.tp_copy_in(to, BigInt(at), from, BigInt(bytes), u32("flags", flags)));
  }

  /**
   * Copies one row of an output that stayed in native memory; `to` has exactly the item's bytes. Returns the
   * status.
   */
  resultCopy(result: number, row: number, output: number, to: Uint8Array): number {
    // An item of no bytes still needs an address: some runtimes pass NULL for an empty view.
    const target = to.byteLength === 0 ? this.#out : checkView("to", to);
    const { tp_result_copy: copy } = this.#calls;
    return copy(u32("result", result), u32("row", row), u32("output", output), target, BigInt(to.byteLength));
  }

  resultRelease(result: number): void {
    this.#check(this.#calls.tp_result_release(u32("result", result)));
  }

  /** Starts to watch the calling thread and returns the watch. */
  threadWatch(): number {
    return this.#handle(this.#calls.tp_thread_watch(this.#out));
  }

  /** Whether the watched thread still lives; from any thread. */
  threadAlive(watch: number): boolean {
    const alive = this.#calls.tp_thread_alive(u32("watch", watch));
    this.#check(alive);
    return alive === 1;
  }

  threadUnwatch(watch: number): void {
    this.#check(this.#calls.tp_thread_unwatch(u32("watch", watch)));
  }

  /** Ends the process at once, without waiting for threads that hang. */
  exitProcess(code: number): never {
    this.#calls.tp_process_exit(code);
    throw this.failure(0);
  }

  /** A handle by which any thread watches one building of an engine, and ends it. */
  openBuild(): number {
    return this.#handle(this.#calls.tp_build_open(this.#out));
  }

  /** How far it is in thousandths, and what is being done; empty before it begins. */
  buildProgress(build: number): { permille: number; stage: string } {
    u32("build", build);
    return JSON.parse(this.#read((text, cap) => this.#calls.tp_build_progress(build, text, cap))) as {
      permille: number;
      stage: string;
    };
  }

  /** Ends the process that builds, or any that would begin; true if there was one. */
  cancelBuild(build: number): boolean {
    const ended = this.#calls.tp_build_cancel(u32("build", build));
    this.#check(ended);
    return ended === 1;
  }

  closeBuild(build: number): void {
    this.#check(this.#calls.tp_build_close(u32("build", build)));
  }

  #check(status: number): void {
    if (status < 0) throw this.failure(status);
  }

  /** The handle that a call has just written. */
  #handle(status: number): number {
    this.#check(status);
    return this.#out[0];
  }

  /** Calls until the text fits: a returned length of `cap` or more means that it was cut. */
  #read(call: (text: Uint8Array, cap: number) => number): string {
    for (;;) {
      const length = call(this.#text, this.#text.length);
      this.#check(length);
      if (length < this.#text.length) return decoder.decode(this.#text.subarray(0, length));
      this.#text = new Uint8Array(length + 1);
    }
  }
}

const decoder = new TextDecoder();

/** `key=value` records, each ended by a NUL byte. */
function encodeOptions(options: readonly (readonly [string, string])[]): Uint8Array {
  for (const [key, value] of options) {
    if (/[=\0]/.test(key) || key === "")
      throw wrong("options", "a key without = and NUL", JSON.stringify(key));
    if (value.includes("\0")) throw wrong("options", `a value without NUL for ${key}`, JSON.stringify(value));
  }
  const text = options.map(([key, value]) => `${key}=${value}\0`).join("");
  return filled("options", new TextEncoder().encode(text));
}

/**
 * Runtimes disagree about what else they take for a pointer (koffi an array, Deno nothing), and about the
 * address of an empty or detached view (NULL or not), so only a view with bytes ever gets to them.
 */
function filled<V extends ArrayBufferView>(name: string, view: V): V {
  if (checkView(name, view).byteLength === 0) throw wrong(name, "bytes", "an empty or detached view");
  return view;
}

function checkView<V extends Bytes>(name: string, view: V): V {
  if (!ArrayBuffer.isView(view)) throw wrong(name, "a typed array", String(view));
  return view;
}

function u32(name: string, value: number): number {
  if (value >>> 0 !== value) throw wrong(name, "an unsigned 32-bit integer", String(value));
  return value;
}

function wrong(name: string, expected: string, got: string): NativeError {
  return new NativeError(TP_ERR_ARGUMENT, `Cannot pass ${name}: expected ${expected}, got ${got}`);
}
