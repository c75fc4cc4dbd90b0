/**
 * The owner's side of a pipe: the shared memory, the instance threads, and their end. Lives on the thread
 * that called `pipe()`.
 */

import { InvariantError, PipeClosedError, fromPlainError } from "../errors.ts";
import { readHooks, windCounters } from "../hooks.ts";
import type { Hooks } from "../hooks.ts";
import { Channel, createChannelBuffers } from "../memory/channel.ts";
import type { ChannelBuffers, MemoryShape } from "../memory/layout.ts";
import { Gate, Pool } from "../memory/pool.ts";
import { BATCH_BYTES, ROW_BYTES, TP_ERR_BUSY } from "../native/abi.ts";
import { environment } from "../native/locate.ts";
import { NativeError } from "../native/library.ts";
import type { Native } from "../native/library.ts";
import type { FromInstance, HeldMemory, LoadedMessage, LoadMessage, StartMessage } from "../protocol.ts";
import { Supervisor } from "../scheduler/supervise.ts";
import { isAlive } from "./attach.ts";
import { spinUsOf } from "./busy-wait.ts";
import { CallWatch } from "./call-watch.ts";
import type { Caller } from "./caller.ts";
import type { ParsedConfig } from "./config.ts";
import { asLoadError } from "./load-error.ts";
import { Reloader } from "./reload.ts";
import { checkedSpec, rowCheck } from "./self-check.ts";
import { memoryShape, modelSpec, openDims } from "./spec.ts";
import type { ModelSpec } from "./spec.ts";
import { sweep, sweepAsTheyEnd } from "./sweep.ts";
import type { Log } from "./types.ts";

/** What exists once the model is loaded. */
export interface Loaded {
  model: LoadedMessage;
  spec: ModelSpec;
  shape: MemoryShape;
  pool: Pool;
  buffers: readonly ChannelBuffers[];
  channels: readonly Channel[];
}

export class Owner {
  #config: ParsedConfig;
  readonly #native: Native;
  readonly #supervisor: Supervisor<FromInstance>;
  readonly #url: URL;
  readonly #log: Log;
  #loaded: Loaded | null = null;
  /** By thread: its instance in the C library, while it has it, and the batch block that this uses. */
  readonly #held = new Map<number, HeldMemory>();
  /** Blocks of threads that ended while a native call of theirs went on. */
  readonly #keptBlocks: SharedArrayBuffer[] = [];
  /** Handles of the loaded models, one for each device, and while others take their place, of both. */
  readonly #models = new Set<number>();
  readonly #reloader: Reloader;
  #caller: Caller | null = null;
  #calls: CallWatch | null = null;
  #closing: Promise<void> | null = null;
  /** The pipe is given up while it loads. */
  #leaving = false;
  /** Watch on this thread, by which attached threads notice its end. */
  readonly watch: number;
  #watching = true;
  /** What a test asks for; null outside of tests. */
  readonly hooks: Hooks | null = readHooks(environment);

  constructor(config: ParsedConfig, native: Native, url: URL) {
    this.#config = config;
    this.#native = native;
    this.#url = url;
    this.watch = native.threadWatch();
    this.#log = config.log;
    this.#supervisor = new Supervisor(url, {
      startMessage: (instance) => this.startMessage(this.#config, this.loaded, instance, 0),
      errorOf: (report: FromInstance) => (report.kind === "failed" ? fromPlainError(report.error) : null),
      onReport: (thread, report) => {
        if ("handle" in report) this.#held.set(thread, report);
        else if (report.kind === "running") this.#calls?.look();
      },
      onEnd: (thread, gaveBack) => this.#onEnd(thread, gaveBack),
      onDeath: (instance, reason, rowsLost, backoffMs) => {
        const fields = { instance, reason, rowsLost, backoffMs };
        this.#log("warn", `Instance ${instance} died (${reason}) and is replaced in ${backoffMs} ms`, fields);
      },
      onHopeless: (reason) => this.#giveUp(reason),
    });
    this.#reloader = new Reloader(this, this.#supervisor, native);
  }

  get config(): ParsedConfig {
    return this.#config;
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
    this.keepModels(model.models);
    if (this.#leaving) {
      this.#letGo();
      throw new PipeClosedError("Cannot start a pipe that was given up");
    }
    const loaded = this.#allocate(model);
    this.#loaded = loaded;
    const path = message.path || "bytes";
    const { note } = loaded.spec;
    if (note !== "") this.#log("warn", note, { model: path });
    const starts = Array.from({ length: loaded.shape.instances }, (_, instance) => {
      const start = this.startMessage(this.#config, loaded, instance, 0);
      return instance === 0 ? this.#supervisor.send(0, start) : this.#supervisor.spawn(instance, start);
    });
    const [first] = await this.#all(starts, message);
    if (first.kind !== "made") return loaded;
    const spec = first.check === null ? loaded.spec : checkedSpec(first.check, loaded.spec, path, this.#log);
    this.#loaded = { ...loaded, spec };
    const serve = { kind: "serve", servedRows: spec.maxRows } as const;
    await this.#all(
      starts.map((_, instance) => this.#supervisor.send(instance, serve)),
      message,
    );
    return this.#loaded;
  }

  /** All of them, so that none is still starting when the first one's failure is told. */
  async #all(answers: readonly Promise<FromInstance>[], message: LoadMessage): Promise<FromInstance[]> {
    await Promise.allSettled(answers);
    return await Promise.all(answers).catch((error: unknown) => {
      throw asLoadError(error, message, "warm-up", "Cannot start an instance");
    });
  }

  /** Opens the gate: callers may call. `nowMs` is the common clock. */
  open(caller: Caller, nowMs: () => number): void {
    const { pool, channels } = this.loaded;
    this.#caller = caller;
    this.#supervisor.watch(pool, channels);
    this.#calls = new CallWatch(pool, this.#config, nowMs, this.#native, this.#supervisor, this.#held);
    pool.setGate(Gate.open);
    this.#calls.look();
  }

  /** See Pipe. */
  reload(options: unknown): Promise<void> {
    return this.#reloader.reload(options);
  }

  // ---- what a reload does to the pipe; see ReloadPlace

  serve(config: ParsedConfig, loaded: Loaded): void {
    this.#config = config;
    this.#loaded = loaded;
  }

  keepModels(models: readonly number[]): void {
    for (const model of models) this.#models.add(model);
  }

  closeModels(models: readonly number[]): void {
    for (const model of models) if (this.#models.delete(model)) this.#native.closeModel(model);
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
    this.#reloader.end(new PipeClosedError());
    if (pool.gate === Gate.open) pool.setGate(Gate.draining);
    await this.#supervisor.join();
    await this.#caller?.whenIdle();
    pool.setGate(Gate.shut);
    this.#caller?.dismiss();
    for (const channel of this.loaded.channels) channel.ringCaller();
    this.#sweep();
    this.#letGo();
  }

  /** Of callers that cannot do so themselves: those whose threads ended, and our own after it gave up. */
  #sweep(): void {
    const { channels, spec } = this.loaded;
    const sweepOne = (channel: Channel): void => sweep(spec, channel, this.#native);
    sweepOne(channels[0]);
    sweepAsTheyEnd(channels.slice(1), sweepOne, (watch) => isAlive(this.#native, watch));
  }

  /** In place of a thread that was ended from outside: its memory, and its child process if it has one. */
  #onEnd(thread: number, gaveBack: boolean): void {
    const held = this.#held.get(thread);
    this.#held.delete(thread);
    if (held === undefined || gaveBack) return;
    try {
      this.#native.destroyInstance(held.handle);
    } catch (error) {
      // It did so itself, or a call of its is still running, which keeps the instance for good.
      if (!(error instanceof NativeError)) throw error;
      if (error.status === TP_ERR_BUSY) this.#keptBlocks.push(held.block);
    }
  }

  /** Gives the native handles back, once. */
  #letGo(): void {
    this.#calls?.stop();
    if (this.#watching) this.#native.threadUnwatch(this.watch);
    this.#watching = false;
    for (const model of this.#models) this.#native.closeModel(model);
    this.#models.clear();
  }

  /** Nobody will answer what waits: every caller is told. */
  #giveUp(reason: string): void {
    this.#log("error", `The pipe is closed: ${reason}`, { reason });
    this.#reloader.end(new PipeClosedError(`Cannot reload: ${reason}`));
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
    if (this.hooks !== null) windCounters(this.hooks, pool, channels);
    return { model, spec, shape, pool, buffers, channels };
  }

  /**
   * The first instance checks batches before its model serves. Of a new pipe the others wait for what it
   * finds; of a reload they do not, since `max` stays, and a replacement's model has been checked.
   */
  #checking(
    config: ParsedConfig,
    { spec, model }: Loaded,
    instance: number,
    ticket: number,
  ): Pick<StartMessage, "servedRows" | "check"> {
    const isNew = this.#caller === null;
    const check = isNew || ticket !== 0 ? rowCheck(config, spec, model) : null;
    const waits = check !== null && (isNew || instance === 0);
    return { servedRows: waits ? null : spec.maxRows, check: instance === 0 ? check : null };
  }

  startMessage(config: ParsedConfig, loaded: Loaded, instance: number, ticket: number): StartMessage {
    // A new one for each thread: a native call of the one before may still write to its own.
    const block = new SharedArrayBuffer(BATCH_BYTES + loaded.shape.maxRows * ROW_BYTES);
    const { device } = loaded.spec;
    return {
      kind: "start",
      library: loaded.model.library,
      model: loaded.model.models[instance % loaded.model.models.length],
      instance,
      ticket,
      shape: loaded.shape,
      pool: loaded.pool.buffer,
      channels: loaded.buffers,
      block,
      minRows: loaded.spec.minRows,
      ...this.#checking(config, loaded, instance, ticket),
      batchingTimeoutMs: config.batchingTimeoutMs,
      spinUs: spinUsOf(config, loaded.model.backend),
      // Rows wait for whoever replaces an instance that died: they are its warm-up.
      warmUp: this.#caller === null || ticket !== 0 ? config.warmUp : 0,
      inputs: openDims(loaded.spec.inputs),
      outputs: openDims(loaded.spec.outputs),
      deviceOutputs: device === null || device.ids.length === 0 ? null : device.outputs,
      // Whoever dies on request does so once.
      hooks: this.hooks !== null && this.#caller !== null ? { ...this.hooks, kill: null } : this.hooks,
    };
  }
}
