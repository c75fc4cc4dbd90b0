/**
 * The owner's side of a pipe: the shared memory, the instance threads, and their end. Lives on the thread
 * that called `pipe()`.
 */

import { InvariantError, ModelLoadError, PipeClosedError, TrtPipeError, fromPlainError } from "../errors.ts";
import type { LoadStage } from "../errors.ts";
import { Channel, createChannelBuffers } from "../memory/channel.ts";
import type { ChannelBuffers, MemoryShape } from "../memory/layout.ts";
import { Gate, Pool } from "../memory/pool.ts";
import { BATCH_BYTES, ROW_BYTES, TP_ERR_BUSY } from "../native/abi.ts";
import { NativeError } from "../native/library.ts";
import type { Native } from "../native/library.ts";
import type { FromInstance, LoadedMessage, LoadMessage, StartMessage } from "../protocol.ts";
import { Supervisor } from "../scheduler/supervise.ts";
import { INTERRUPT_MS, Watchdog } from "../scheduler/watchdog.ts";
import type { Caller } from "./caller.ts";
import type { ParsedConfig } from "./config.ts";
import { guardExit, unguardExit } from "./exit.ts";
import type { Guarded } from "./exit.ts";
import { memoryShape, modelSpec, openDims } from "./spec.ts";
import type { ModelSpec } from "./spec.ts";
import type { Log } from "./types.ts";

/** What exists once the model is loaded. */
interface Loaded {
  model: LoadedMessage;
  spec: ModelSpec;
  shape: MemoryShape;
  pool: Pool;
  buffers: readonly ChannelBuffers[];
  channels: readonly Channel[];
}

export class Owner {
  readonly #config: ParsedConfig;
  readonly #native: Native;
  readonly #supervisor: Supervisor<FromInstance>;
  readonly #url: URL;
  readonly #log: Log;
  #loaded: Loaded | null = null;
  /** Handle of each instance in the C library, while its thread has it. */
  readonly #handles = new Map<number, number>();
  /** Batch block of each instance's thread: the C library may use it for as long as it has the instance. */
  readonly #blocks = new Map<number, SharedArrayBuffer>();
  /** Blocks of threads that ended while a native call of theirs went on. */
  readonly #keptBlocks: SharedArrayBuffer[] = [];
  /** Handle of the loaded model, 0 before and after. */
  #model = 0;
  #caller: Caller | null = null;
  #watchdog: Watchdog | null = null;
  #guarded: Guarded | null = null;
  #closing: Promise<void> | null = null;
  /** The pipe is given up while it loads. */
  #leaving = false;
  /** Watch on this thread, by which attached threads notice its end. */
  readonly watch: number;
  #watching = true;

  constructor(config: ParsedConfig, native: Native, url: URL) {
    this.#config = config;
    this.#native = native;
    this.#url = url;
    this.watch = native.threadWatch();
    this.#log = config.log;
    this.#supervisor = new Supervisor(url, {
      startMessage: (instance) => this.#startMessage(this.loaded, instance),
      errorOf: (report: FromInstance) => (report.kind === "failed" ? fromPlainError(report.error) : null),
      onReport: (instance, report) => {
        if (report.kind === "ready") this.#handles.set(instance, report.handle);
        else if (report.kind === "running") this.#watchdog?.look();
      },
      onEnd: (instance) => this.#destroy(instance),
      onDeath: (instance, reason, rowsLost, backoffMs) => {
        const fields = { instance, reason, rowsLost, backoffMs };
        this.#log("warn", `Instance ${instance} died (${reason}) and is replaced in ${backoffMs} ms`, fields);
      },
      onHopeless: (reason) => this.#giveUp(reason),
    });
  }

  get loaded(): Loaded {
    if (this.#loaded === null) throw new PipeClosedError("Cannot use a pipe before its model is loaded");
    return this.#loaded;
  }

  get restarts(): number {
    return this.#supervisor.restarts;
  }

  /** Loads the model on the first instance's thread, then starts all instances. */
  async load(message: LoadMessage): Promise<Loaded> {
    const model = await this.#supervisor.spawn(0, message).catch((error: unknown) => {
      const hint = "workerUrl or TRTPIPE_WORKER say where the instance threads' script is";
      throw asLoadError(error, message, "library", `Cannot start a thread from ${this.#url.href} (${hint})`);
    });
    if (model.kind !== "loaded") throw new InvariantError(`a loading thread answered ${model.kind}`);
    this.#model = model.model;
    if (this.#leaving) {
      this.#letGo();
      throw new PipeClosedError("Cannot start a pipe that was given up");
    }
    const loaded = this.#allocate(model);
    this.#loaded = loaded;
    const { note } = loaded.spec;
    if (note !== "") this.#log("warn", note, { model: message.path || "bytes" });
    const starts = Array.from({ length: loaded.shape.instances }, (_, instance) => {
      const start = this.#startMessage(loaded, instance);
      return instance === 0 ? this.#supervisor.send(0, start) : this.#supervisor.spawn(instance, start);
    });
    // All of them, so that none is still starting when the first one's failure is told.
    await Promise.allSettled(starts);
    await Promise.all(starts).catch((error: unknown) => {
      throw asLoadError(error, message, "warm-up", "Cannot start an instance");
    });
    return loaded;
  }

  /** Opens the gate: callers may call. `nowMs` is the common clock. */
  open(caller: Caller, nowMs: () => number): void {
    const { pool, channels } = this.loaded;
    this.#caller = caller;
    this.#supervisor.watch(pool, channels);
    // Child processes keep to the bound themselves.
    const runTimeoutMs = this.#config.backend?.process ? 0 : this.#config.runTimeoutMs;
    const interrupt = (instance: number, run: number): void => this.#interrupt(instance, run);
    this.#watchdog = new Watchdog(pool, runTimeoutMs, nowMs, {
      interrupt,
      onLost: (instance, ranMs) => this.#lose(instance, ranMs),
    });
    this.#guarded = { pool, interrupt, exitProcess: (code) => this.#native.exitProcess(code) };
    guardExit(this.#guarded);
    pool.setGate(Gate.open);
    this.#watchdog.look();
  }

  /** Stops admission, lets the instances finish what was admitted, and ends them. */
  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  /** Ends whatever was started, for a pipe that never opened. */
  async leave(): Promise<void> {
    this.#leaving = true;
    if (this.#loaded !== null) {
      // Instances that run already give back what they have; the others never come that far.
      this.#loaded.pool.setGate(Gate.shut);
      this.#loaded.pool.wakeAll();
    }
    await this.#supervisor.leave({ kind: "leave" });
    this.#letGo();
  }

  async #drain(): Promise<void> {
    const { pool } = this.loaded;
    this.#caller?.refuse(() => new PipeClosedError());
    if (pool.gate === Gate.open) pool.setGate(Gate.draining);
    await this.#supervisor.join();
    await this.#caller?.whenIdle();
    pool.setGate(Gate.shut);
    this.#caller?.dismiss();
    for (const channel of this.loaded.channels) channel.ringCaller();
    this.#letGo();
  }

  #interrupt(instance: number, run: number): void {
    const handle = this.#handles.get(instance);
    if (handle === undefined) return;
    try {
      this.#native.interruptRun(handle, run);
    } catch (error) {
      // Its thread has just ended.
      if (!(error instanceof NativeError)) throw error;
    }
  }

  /** A call hangs. What it may still write to stays as it is: see Supervisor.lose. */
  #lose(instance: number, ranMs: number): void {
    // The instance in the C library goes with its thread, when the call returns.
    this.#handles.delete(instance);
    const ran = `a call runs for ${Math.round(ranMs)} ms`;
    this.#supervisor.lose(instance, `${ran}, and was asked to end ${INTERRUPT_MS} ms ago`);
  }

  /** In place of a thread that was ended from outside: its memory, and its child process if it has one. */
  #destroy(instance: number): void {
    const handle = this.#handles.get(instance);
    if (handle === undefined) return;
    this.#handles.delete(instance);
    try {
      this.#native.destroyInstance(handle);
    } catch (error) {
      // It did so itself, or a call of its is still running, which keeps the instance for good.
      if (!(error instanceof NativeError)) throw error;
      if (error.status === TP_ERR_BUSY) this.#keptBlocks.push(this.#blocks.get(instance)!);
    }
  }

  /** Gives the native handles back, once. */
  #letGo(): void {
    this.#watchdog?.stop();
    if (this.#guarded !== null) unguardExit(this.#guarded);
    if (this.#watching) this.#native.threadUnwatch(this.watch);
    this.#watching = false;
    if (this.#model !== 0) this.#native.closeModel(this.#model);
    this.#model = 0;
  }

  /** Nobody will answer what waits: every caller is told. */
  #giveUp(reason: string): void {
    this.#log("error", `The pipe is closed: ${reason}`, { reason });
    this.#caller?.abandon(() => new PipeClosedError(`Cannot use the pipe any more: ${reason}`));
    for (const channel of this.loaded.channels) channel.ringCaller();
  }

  #allocate(model: LoadedMessage): Loaded {
    const spec = modelSpec(model.description, this.#config);
    const shape = memoryShape(spec, this.#config);
    const pool = new Pool(shape);
    // The lists of waiting rows are made by the first leader, as after a leader's death.
    pool.askRebuild();
    const buffers = Array.from({ length: shape.channels }, () => createChannelBuffers(shape));
    const channels = buffers.map((pair, index) => new Channel(index, shape, pair));
    return { model, spec, shape, pool, buffers, channels };
  }

  #startMessage(loaded: Loaded, instance: number): StartMessage {
    const config = this.#config;
    // A new one for each thread: a native call of the one before may still write to its own.
    const block = new SharedArrayBuffer(BATCH_BYTES + loaded.shape.maxRows * ROW_BYTES);
    this.#blocks.set(instance, block);
    return {
      kind: "start",
      library: loaded.model.library,
      model: loaded.model.model,
      instance,
      shape: loaded.shape,
      pool: loaded.pool.buffer,
      channels: loaded.buffers,
      block,
      minRows: loaded.spec.minRows,
      batchingTimeoutMs: config.batchingTimeoutMs,
      spinUs: config.spinUs,
      // A replacement finds callers' rows in the slots, and must not write to them before it has taken them.
      warmUp: this.#caller === null ? config.warmUp : 0,
      inputs: openDims(loaded.spec.inputs),
      outputs: openDims(loaded.spec.outputs),
    };
  }
}

/**
 * Our own errors as they are; everything else, a thread's end or the library's word, as one about this model.
 */
function asLoadError(error: unknown, message: LoadMessage, stage: LoadStage, what: string): Error {
  if (error instanceof TrtPipeError) return error;
  const why = error instanceof Error ? error.message : String(error);
  const name = message.path || (message.bytes === null ? message.candidates[0].backend : "bytes");
  return new ModelLoadError(name, stage, `${what} for ${name}: ${why}`, { cause: error });
}
