/**
 * Starts the instance threads, notices their deaths, and replaces them. Runs on the thread that owns the
 * pipe; it is not on any request's path: while this thread is busy, callers and instances go on without it.
 */

import { Worker } from "node:worker_threads";
import { beginEpoch } from "../memory/calls.ts";
import { Gate, State } from "../memory/pool.ts";
import type { Pool } from "../memory/pool.ts";
import type { Channel } from "../memory/channel.ts";

/** Deaths within DEATH_WINDOW_MS after which the pipe gives up. */
const DEATH_LIMIT = 5;
const DEATH_WINDOW_MS = 10_000;
const FIRST_BACKOFF_MS = 20;
/** How long a pipe that could not be loaded waits for its threads to end. */
const LEAVE_MS = 2000;

/** What the supervisor needs to know of a thread's messages. */
export interface Report {
  kind: string;
}

export interface SupervisorEvents<From extends Report> {
  /** The message that starts instance `instance` on a new thread. */
  startMessage(instance: number): unknown;
  /** A thread said that it could not start. */
  errorOf(report: From): Error | null;
  /** A thread said something. */
  onReport(instance: number, report: From): void;
  /** An instance's thread is gone, without having given back what it had. */
  onEnd(instance: number): void;
  /** An instance died and is being replaced. */
  onDeath(instance: number, reason: string, rowsLost: number, backoffMs: number): void;
  /** Too many deaths: the pipe is of no use any more. */
  onHopeless(reason: string): void;
}

interface Thread<From> {
  worker: Worker;
  instance: number;
  /** What somebody waits for from this thread: its next message, or its end. */
  waiter: { resolve: (report: From) => void; reject: (error: Error) => void } | null;
  /** It said that it ended on purpose, or was given up: its end is of no matter. */
  closed: boolean;
  /** Why it ends, as far as it said so itself. */
  reason: string;
  /** Resolves when it has ended, or is given up. */
  exited: Promise<void>;
  letGo: () => void;
}

export class Supervisor<From extends Report> {
  readonly #url: URL;
  readonly #events: SupervisorEvents<From>;
  readonly #threads = new Map<number, Thread<From>>();
  readonly #deaths: number[] = [];
  #pool: Pool | null = null;
  #channels: readonly Channel[] = [];
  #closing = false;
  /** Instances that are to be replaced, by their timers. */
  readonly #respawns = new Map<number, NodeJS.Timeout>();
  restarts = 0;

  constructor(url: URL, events: SupervisorEvents<From>) {
    this.#url = url;
    this.#events = events;
  }

  /** Starts a thread and sends its first message; resolves with its first answer. */
  spawn(instance: number, message: unknown): Promise<From> {
    const worker = new Worker(this.#url, { name: `trtpipe instance ${instance}` });
    let letGo = (): void => {};
    const exited = new Promise<void>((resolve) => (letGo = resolve));
    const thread: Thread<From> = {
      worker,
      instance,
      waiter: null,
      closed: false,
      reason: "",
      exited,
      letGo,
    };
    this.#threads.set(instance, thread);
    worker.on("message", (report: From) => this.#onReport(thread, report));
    worker.on("error", (error: unknown) => {
      thread.reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    });
    worker.on("exit", (code) => this.#onExit(thread, thread.reason || `its thread ended with code ${code}`));
    return this.#send(thread, message);
  }

  /** Sends a further message to a thread that is starting; resolves with its answer. */
  send(instance: number, message: unknown): Promise<From> {
    const thread = this.#threads.get(instance);
    if (!thread) return Promise.reject(new Error(`Instance ${instance} has no thread`));
    return this.#send(thread, message);
  }

  /** From here on deaths are answered: rows of the dead are failed, the thread is replaced. */
  watch(pool: Pool, channels: readonly Channel[]): void {
    this.#pool = pool;
    this.#channels = channels;
    for (const { worker } of this.#threads.values()) worker.unref();
  }

  /**
   * Waits until all threads have drained and ended. They hold the process meanwhile. An instance that is dead
   * for a moment is replaced at once, since nobody else may be there to finish what waits.
   */
  async join(): Promise<void> {
    this.#closing = true;
    for (const [instance, timer] of this.#respawns) {
      clearTimeout(timer);
      this.#respawn(instance);
    }
    const threads = [...this.#threads.values()];
    for (const { worker } of threads) worker.ref();
    this.#pool?.wakeAll();
    await Promise.all(threads.map((thread) => thread.exited));
  }

  /**
   * Asks all threads to end, for a pipe that could not be loaded, and waits for it, but not for long: one
   * that is loading reads `message` when that is done, and no longer holds the process until then. Nobody is
   * terminated, since a thread that is stopped inside a binding may take the process with it.
   */
  async leave(message: unknown): Promise<void> {
    this.#closing = true;
    const threads = [...this.#threads.values()];
    for (const { worker } of threads) worker.postMessage(message);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LEAVE_MS);
    });
    await Promise.race([late, Promise.all(threads.map((thread) => thread.exited))]);
    clearTimeout(timer);
    for (const { worker } of threads) worker.unref();
  }

  #send(thread: Thread<From>, message: unknown): Promise<From> {
    return new Promise((resolve, reject) => {
      thread.waiter = { resolve, reject };
      thread.worker.postMessage(message);
    });
  }

  #onReport(thread: Thread<From>, report: From): void {
    if (report.kind === "closed") {
      thread.closed = true;
      return;
    }
    this.#events.onReport(thread.instance, report);
    const { waiter } = thread;
    thread.waiter = null;
    const error = this.#events.errorOf(report);
    if (error) thread.reason = error.message;
    if (error) waiter?.reject(error);
    else waiter?.resolve(report);
  }

  /**
   * The native call that an instance's thread is in does not come back: the thread is given up and replaced.
   * It ends by itself if the call returns; until then it keeps the slots of its rows.
   */
  lose(instance: number, reason: string): void {
    const thread = this.#threads.get(instance);
    if (thread === undefined || this.#pool === null) return;
    this.#threads.delete(instance);
    thread.closed = true;
    thread.letGo();
    thread.worker.unref();
    this.#onDeath(this.#pool, instance, reason, true);
  }

  #onExit(thread: Thread<From>, reason: string): void {
    thread.letGo();
    if (this.#threads.get(thread.instance) === thread) this.#threads.delete(thread.instance);
    thread.waiter?.reject(new Error(`Instance ${thread.instance} ended while it was starting: ${reason}`));
    thread.waiter = null;
    if (thread.closed || this.#pool === null) return;
    this.#onDeath(this.#pool, thread.instance, reason, false);
  }

  #onDeath(pool: Pool, instance: number, reason: string, isLost: boolean): void {
    pool.setState(instance, State.dead);
    let rowsLost = 0;
    if (isLost) for (const channel of this.#channels) rowsLost += channel.loseTaken(instance);
    else rowsLost = this.#bury(pool, instance);
    pool.wakeAll();
    const nowMs = performance.now();
    this.#deaths.push(nowMs);
    while (nowMs - this.#deaths[0] > DEATH_WINDOW_MS) this.#deaths.shift();
    if (this.#closing) return this.#afterLastDeath(pool, reason);
    if (this.#deaths.length >= DEATH_LIMIT) {
      this.#closing = true;
      for (const timer of this.#respawns.values()) clearTimeout(timer);
      this.#respawns.clear();
      pool.setGate(Gate.shut);
      pool.wakeAll();
      this.#events.onHopeless(
        `${DEATH_LIMIT} instances died within ${DEATH_WINDOW_MS / 1000} s, the last one: ${reason}`,
      );
      return;
    }
    const backoffMs = FIRST_BACKOFF_MS * 2 ** (this.#deaths.length - 1);
    this.#events.onDeath(instance, reason, rowsLost, backoffMs);
    this.#respawnLater(instance, backoffMs);
  }

  /** What a thread that has ended leaves behind; returns how many rows it took with it. */
  #bury(pool: Pool, instance: number): number {
    beginEpoch(pool, instance);
    pool.freeLeadOf(instance);
    this.#events.onEnd(instance);
    let rowsLost = 0;
    for (const channel of this.#channels) rowsLost += channel.failTaken(instance);
    return rowsLost;
  }

  /** While closing nobody is replaced; if nobody is left to drain what waits, it will never run. */
  #afterLastDeath(pool: Pool, reason: string): void {
    if (this.#threads.size > 0 || pool.gate === Gate.shut) return;
    pool.setGate(Gate.shut);
    this.#events.onHopeless(`the last instance died while the pipe was closing: ${reason}`);
  }

  #respawnLater(instance: number, backoffMs: number): void {
    const timer = setTimeout(() => {
      this.#respawn(instance);
      this.#threads.get(instance)?.worker.unref();
    }, backoffMs);
    this.#respawns.set(instance, timer);
  }

  #respawn(instance: number): void {
    this.#respawns.delete(instance);
    this.restarts++;
    this.#pool?.setState(instance, State.starting);
    const started = this.spawn(instance, this.#events.startMessage(instance));
    // Failing to start ends the thread, and that end is one more death.
    started.catch(() => {});
  }
}
