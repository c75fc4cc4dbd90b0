/**
 * `reload()`: another model in place of the one that is served. It is loaded, checked and warmed up on
 * threads of its own, while the old one serves; then each instance changes over when its running batch is
 * done. On the owner's thread.
 */

import { InvariantError } from "../errors.ts";
import type { Native } from "../native/library.ts";
import type { CheckReport, FromInstance, LoadedMessage, LoadMessage, StartMessage } from "../protocol.ts";
import type { Supervisor } from "../scheduler/supervise.ts";
import { AbortWait } from "./abort-wait.ts";
import type { ParsedConfig } from "./config.ts";
import { asLoadError, modelName } from "./load-error.ts";
import { loadMessage } from "./load-message.ts";
import type { Loaded } from "./owner.ts";
import { changedConfig, readReload } from "./reload-options.ts";
import type { GivenReload } from "./reload-options.ts";
import { checkSameModel, inSlotsOf } from "./same-model.ts";
import { checkSuccessor } from "./self-check.ts";
import { modelSpec } from "./spec.ts";
import type { ModelSpec } from "./spec.ts";

/** What a reload needs of the pipe. */
export interface ReloadPlace {
  readonly config: ParsedConfig;
  readonly loaded: Loaded;
  startMessage(config: ParsedConfig, loaded: Loaded, instance: number, ticket: number): StartMessage;
  /** Whoever starts from here on starts with these. */
  serve(config: ParsedConfig, loaded: Loaded): void;
  /** A model is loaded, on each device: the pipe closes it at its end, unless it is closed before. */
  keepModels(models: readonly number[]): void;
  closeModels(models: readonly number[]): void;
}

/** One call of `reload()`. */
class Attempt {
  readonly given: GivenReload;
  readonly #stop = new AbortController();
  /** Rejects when the reload is given up. */
  readonly stopped: AbortWait = new AbortWait(this.#stop.signal);
  /** Handles of the new model, one for each device; none before it is loaded. */
  models: readonly number[] = [];

  constructor(given: GivenReload) {
    this.given = given;
    given.signal?.addEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => this.stop(this.given.signal?.reason);

  stop(reason: unknown): void {
    this.#stop.abort(reason);
  }

  get isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** The promise's value, unless the reload is given up before. */
  async unlessStopped<T>(promise: Promise<T>): Promise<T> {
    const value = await Promise.race([promise, this.stopped.promise]);
    this.#stop.signal.throwIfAborted();
    return value;
  }

  /** Its caller's signal means nothing any more. */
  ignoreSignal(): void {
    this.given.signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** As long as a timer may be. */
const ALIVE_MS = 2 ** 31 - 1;

export class Reloader {
  readonly #place: ReloadPlace;
  readonly #supervisor: Supervisor<FromInstance>;
  readonly #native: Native;
  readonly #attempts = new Set<Attempt>();
  /** Resolves when the last one that was asked for is over. */
  #last: Promise<void> = Promise.resolve();
  #ended: Error | null = null;

  constructor(place: ReloadPlace, supervisor: Supervisor<FromInstance>, native: Native) {
    this.#place = place;
    this.#supervisor = supervisor;
    this.#native = native;
  }

  /** One after the other, in the order of the calls. */
  async reload(options: unknown): Promise<void> {
    if (this.#ended !== null) throw this.#ended;
    const attempt = new Attempt(readReload(options));
    const before = this.#last;
    let over = (): void => {};
    this.#last = new Promise((resolve) => (over = resolve));
    this.#attempts.add(attempt);
    // Neither threads that wait for their turn nor those that serve keep a process that waits for this.
    const alive = setInterval(() => {}, ALIVE_MS);
    try {
      await attempt.unlessStopped(before);
      await this.#replace(attempt);
    } finally {
      clearInterval(alive);
      attempt.ignoreSignal();
      attempt.stopped.end();
      this.#attempts.delete(attempt);
      // One that was given up while it waited lets nobody pass the one before.
      void before.then(over);
    }
  }

  /** The pipe closes, or cannot go on. */
  end(error: Error): void {
    this.#ended ??= error;
    for (const attempt of this.#attempts) attempt.stop(error);
    this.#supervisor.callOff({ kind: "leave" });
  }

  async #replace(attempt: Attempt): Promise<void> {
    const place = this.#place;
    const old = place.loaded;
    const changing = await this.#askToChange(attempt);
    // What is asked for cannot be taken back: some instances may run the new model already.
    attempt.ignoreSignal();
    await attempt.unlessStopped(changing.over);
    // The native library has the old threads' memory until they have ended.
    void this.#supervisor.left().then(() => place.closeModels(old.model.models));
  }

  /** Makes the new instances and asks the old ones to change over; tells when they have. */
  async #askToChange(attempt: Attempt): Promise<{ over: Promise<void> }> {
    const place = this.#place;
    const supervisor = this.#supervisor;
    const config = changedConfig(place.config, attempt.given.changes);
    const message = loadMessage(config, this.#native.path, null);
    const ticket = await attempt.unlessStopped(supervisor.beginSuccession());
    try {
      const model = await attempt.unlessStopped(this.#load(attempt, message));
      const name = modelName(message);
      checkSameModel(place.loaded.model.description, model.description, name);
      const spec = inSlotsOf(place.loaded.spec, modelSpec(model.description, config));
      if (spec.note !== "") config.log("warn", spec.note, { model: name });
      const next = { ...place.loaded, model, spec };
      const prepared = Array.from({ length: next.shape.instances }, (_, instance) => {
        const start = place.startMessage(config, next, instance, ticket);
        if (instance !== 0) return supervisor.spawnHeir(instance, start);
        return this.#prepareFirst(start, spec, (report) => checkSuccessor(report, spec, name, config.log));
      });
      await attempt.unlessStopped(Promise.all(prepared));
      const over = supervisor.succeed();
      place.serve(config, next);
      return { over };
    } catch (error) {
      const isStopped = attempt.isStopped;
      attempt.stop(error);
      supervisor.callOff({ kind: "leave" });
      place.closeModels(attempt.models);
      if (isStopped) throw error;
      throw asLoadError(error, message, "warm-up", "Cannot start an instance");
    }
  }

  /** The thread that loaded the model checks batches before it goes on; the others are made meanwhile. */
  async #prepareFirst(
    start: StartMessage,
    { maxRows }: ModelSpec,
    judge: (report: CheckReport) => void,
  ): Promise<FromInstance> {
    const report = await this.#supervisor.sendHeir(0, start);
    if (report.kind !== "made") return report;
    if (report.check !== null) judge(report.check);
    return await this.#supervisor.sendHeir(0, { kind: "serve", servedRows: maxRows });
  }

  async #load(attempt: Attempt, message: LoadMessage): Promise<LoadedMessage> {
    const report = await this.#supervisor.spawnHeir(0, message).catch((error: unknown) => {
      throw asLoadError(error, message, "library", "Cannot start a thread");
    });
    if (report.kind !== "loaded") throw new InvariantError(`a loading thread answered ${report.kind}`);
    if (attempt.isStopped) {
      // It came to its end all the same: nobody wants it.
      for (const model of report.models) this.#native.closeModel(model);
      return report;
    }
    attempt.models = report.models;
    this.#place.keepModels(report.models);
    return report;
  }
}
