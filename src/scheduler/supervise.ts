/**
 * Starts the instance threads, notices their deaths, and replaces them. Runs on the thread that owns the
 * pipe; it is not on any request's path: while this thread is busy, callers and instances go on without it.
 */

import { beginEpoch } from "../memory/calls.ts";
import { Gate, State } from "../memory/pool.ts";
import type { Pool } from "../memory/pool.ts";
import type { Channel } from "../memory/channel.ts";
import { DEATH_LIMIT, DEATH_WINDOW_MS, Deaths } from "./deaths.ts";
import { Succession } from "./succession.ts";
import { notForLong, send, startThread } from "./thread.ts";
import type { Report, Thread } from "./thread.ts";

export interface SupervisorEvents<From extends Report> {
  /** The message that starts instance `instance` on a new thread. */
  startMessage(instance: number): unknown;
  /** A thread said that it could not start. */
  errorOf(report: From): Error | null;
  /** A thread said something. Threads have numbers of their own. */
  onReport(thread: number, report: From): void;
  /** A thread is gone; whether it gave back what it had. */
  onEnd(thread: number, gaveBack: boolean): void;
  /** An instance died and is being replaced. */
  onDeath(instance: number, reason: string, rowsLost: number, backoffMs: number): void;
  /** Too many deaths: the pipe is of no use any more. */
  onHopeless(reason: string): void;
}

export class Supervisor<From extends Report> {
  readonly #url: URL;
  readonly #events: SupervisorEvents<From>;
  /** By instance: the thread that has its line, as far as it is noticed. */
  readonly #threads = new Map<number, Thread<From>>();
  readonly #succession = new Succession<Thread<From>>(() => this.#watched());
  /** Threads that have no line any more, or shall have none, and have not ended yet. */
  readonly #leaving = new Set<Thread<From>>();
  #started = 0;
  readonly #deaths = new Deaths();
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
    const thread = this.#start(instance);
    this.#threads.set(instance, thread);
    return send(thread, message);
  }

  #start(instance: number): Thread<From> {
    return startThread<From>(this.#url, instance, ++this.#started, {
      onReport: (thread, report) => this.#onReport(thread, report),
      onExit: (thread) => this.#onExit(thread),
    });
  }

  /** Sends a further message to a thread that is starting; resolves with its answer. */
  send(instance: number, message: unknown): Promise<From> {
    const thread = this.#threads.get(instance);
    return thread ? send(thread, message) : Promise.reject(new Error(`Instance ${instance} has no thread`));
  }

  /** From here on deaths are answered: rows of the dead are failed, the thread is replaced. */
  watch(pool: Pool, channels: readonly Channel[]): void {
    this.#pool = pool;
    this.#channels = channels;
    for (const { worker } of this.#threads.values()) worker.unref();
  }

  // ---- other threads in place of those that serve; see Succession

  /** Begins; resolves with a ticket when the threads of the last time have ended. */
  async beginSuccession(): Promise<number> {
    await this.left();
    return this.#succession.begin();
  }

  /** Starts a thread that is to take the instance's line over. As `spawn`. */
  spawnHeir(instance: number, message: unknown): Promise<From> {
    const thread = this.#start(instance);
    this.#succession.add(thread);
    return send(thread, message);
  }

  /** As `send`, to such a thread. */
  sendHeir(instance: number, message: unknown): Promise<From> {
    const thread = this.#succession.get(instance);
    return thread ? send(thread, message) : Promise.reject(new Error(`Instance ${instance} has no heir`));
  }

  /**
   * Lets each of them take its line over as soon as the one that has it is done with its batch; resolves when
   * all have. Throws, with nothing changed, if one of them has ended meanwhile.
   */
  succeed(): Promise<void> {
    const pool = this.#watched();
    if (this.#succession.living < pool.shape.instances) throw new Error("an instance's thread ended");
    const done = this.#succession.ask();
    // Of an instance that is dead at the moment the line is free.
    for (const [instance, timer] of this.#respawns) {
      clearTimeout(timer);
      this.#respawns.delete(instance);
      this.#giveForDead(pool, instance);
    }
    return done;
  }

  /** They shall not: `message` asks those to end that are still starting. Those that have a line keep it. */
  callOff(message: unknown): void {
    const pool = this.#pool;
    if (pool === null) return;
    for (const thread of this.#succession.callOff()) {
      if (!thread.living) continue;
      this.#leaving.add(thread);
      thread.worker.postMessage(message);
      thread.worker.unref();
    }
    for (let instance = 0; instance < pool.shape.instances; instance++) this.#notice(pool, instance);
  }

  #watched(): Pool {
    if (this.#pool === null) throw new Error("the instances are not watched yet");
    return this.#pool;
  }

  /** Resolves when all threads have ended that have no line any more, or shall have none. */
  async left(): Promise<void> {
    await Promise.all([...this.#leaving].map((thread) => thread.exited));
  }

  /** Notices that an instance's line has changed hands. */
  #notice(pool: Pool, instance: number): void {
    const heir = this.#succession.takeGiven(instance);
    if (heir === null) return;
    const old = this.#threads.get(instance);
    if (old?.living) this.#leaving.add(old);
    this.#threads.set(instance, heir);
    if (!this.#closing) heir.worker.unref();
    if (heir.living) return;
    this.#threads.delete(instance);
    this.#onDeath(pool, instance, heir.reason, false);
  }

  /** An instance's thread is gone while another one waits for its line. False if none does. */
  #giveForDead(pool: Pool, instance: number): boolean {
    if (!pool.isAsked(instance)) return false;
    this.restarts++;
    pool.setState(instance, State.starting);
    pool.give(instance);
    this.#notice(pool, instance);
    return true;
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
    await notForLong(this.left());
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
    await notForLong(Promise.all(threads.map((thread) => thread.exited)));
    for (const { worker } of threads) worker.unref();
  }

  #onReport(thread: Thread<From>, report: From): void {
    if (report.kind === "closed") {
      thread.closed = true;
      return;
    }
    if (this.#pool !== null) this.#notice(this.#pool, thread.instance);
    this.#events.onReport(thread.number, report);
    const { waiter } = thread;
    thread.waiter = null;
    const error = this.#events.errorOf(report);
    if (error) thread.reason = error.message;
    if (error) waiter?.reject(error);
    else waiter?.resolve(report);
  }

  /** The thread that has the instance's line now, by its number; 0: none. */
  serving(instance: number): number {
    this.#notice(this.#watched(), instance);
    return this.#threads.get(instance)?.number ?? 0;
  }

  /**
   * The native call that an instance's thread is in does not come back: the thread is given up and replaced.
   * It ends by itself if the call returns; until then it keeps the slots of its rows.
   */
  lose(instance: number, reason: string): void {
    const pool = this.#watched();
    // The line may have been given to the one that hangs.
    this.#notice(pool, instance);
    const thread = this.#threads.get(instance);
    if (thread === undefined) return;
    this.#threads.delete(instance);
    thread.letGo();
    thread.worker.unref();
    this.#onDeath(pool, instance, reason, true);
  }

  #onExit(thread: Thread<From>): void {
    // It may have given its line away, or have been given it.
    if (this.#pool !== null) this.#notice(this.#pool, thread.instance);
    thread.living = false;
    this.#leaving.delete(thread);
    const isServing = this.#threads.get(thread.instance) === thread;
    if (isServing) this.#threads.delete(thread.instance);
    this.#events.onEnd(thread.number, thread.closed);
    if (isServing && !thread.closed && this.#pool !== null)
      this.#onDeath(this.#pool, thread.instance, thread.reason, false);
  }

  #onDeath(pool: Pool, instance: number, reason: string, isLost: boolean): void {
    pool.setState(instance, State.dead);
    let rowsLost = 0;
    if (isLost) for (const channel of this.#channels) rowsLost += channel.loseTaken(instance);
    else rowsLost = this.#bury(pool, instance);
    pool.wakeAll();
    const backoffMs = this.#deaths.add(performance.now());
    if (this.#closing) return this.#afterLastDeath(pool, reason);
    if (backoffMs === null) {
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
    const isAwaited = pool.isAsked(instance);
    this.#events.onDeath(instance, reason, rowsLost, isAwaited ? 0 : backoffMs);
    if (!this.#giveForDead(pool, instance)) this.#respawnLater(instance, backoffMs);
  }

  /** What a thread that has ended leaves behind; returns how many rows it took with it. */
  #bury(pool: Pool, instance: number): number {
    beginEpoch(pool, instance);
    pool.freeLeadOf(instance);
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
