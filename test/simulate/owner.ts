/**
 * The thread that owns the pipe: production's Supervisor, a caller of its own, and the end of everything, in
 * the order in which src/pipe/owner.ts has it.
 */

import { PipeClosedError } from "../../src/errors.ts";
import { Gate } from "../../src/memory/pool.ts";
import { Caller } from "../../src/pipe/caller.ts";
import type { NativeResults } from "../../src/pipe/result.ts";
import { Supervisor } from "../../src/scheduler/supervise.ts";
import { Watchdog } from "../../src/scheduler/watchdog.ts";
import { Report, Watch } from "./books.ts";
import type { Books } from "./books.ts";
import { Client } from "./client.ts";
import type { Loop } from "./loop.ts";
import { seatsOf } from "./plan.ts";
import { endWorker, endWorkers, loadNative, workerOf } from "./runtime.ts";
import type { Start } from "./runtime.ts";
import { makeSpec } from "./stage.ts";
import type { Stage } from "./stage.ts";
import { Word } from "./world-layout.ts";
import type { World } from "./world.ts";

const LEAVE = { kind: "leave" };
const BETWEEN_RELOADS_MS = 10;
/** What a reload may fail with: a thread of its died, or it was given up. */
const FAILURES = /ended while it was starting|thread ended|given up/;

interface Said {
  kind: string;
}

export class Owner {
  readonly #world: World;
  readonly #loop: Loop;
  readonly #stage: Stage;
  readonly #books: Books;
  readonly #supervisor: Supervisor<Said>;
  readonly #watchdog: Watchdog;
  #caller: Caller | null = null;
  #callersDone: (() => void) | null = null;
  #asked: (() => void) | null = null;
  /** The model that whoever starts now runs. */
  #model = 0;
  /** The pipe is closing, or cannot go on. */
  #over = false;
  #onOver = (): void => {};
  readonly #whenOver = new Promise<void>((resolve) => (this.#onOver = resolve));

  constructor(world: World, loop: Loop, stage: Stage, books: Books) {
    this.#world = world;
    this.#loop = loop;
    this.#stage = stage;
    this.#books = books;
    endWorkers();
    this.#supervisor = new Supervisor<Said>(new URL("file:///worker.js"), {
      startMessage: () => this.#start(0, this.#model),
      errorOf: () => null,
      onReport: (_, { kind }) => {
        if (kind === "running") this.#watchdog.look();
      },
      onEnd: () => {},
      onDeath: () => {},
      onHopeless: (reason) => this.#giveUp(reason),
    });
    this.#watchdog = new Watchdog(stage.pool, stage.plan.runTimeoutMs, () => world.clockMs, {
      interrupt: (instance, run) => this.#interrupt(instance, run),
      onLost: (instance) => this.#supervisor.lose(instance, "its call hangs"),
    });
  }

  #interrupt(instance: number, run: number): void {
    if (this.#supervisor.serving(instance) === 0) return;
    const thread = this.#books.tenant[instance];
    this.#books.asked[thread] = run;
    this.#world.threads.mail(thread);
  }

  async play(): Promise<void> {
    const { plan, pool, channels } = this.#stage;
    this.#loop.onMail = () => this.#readMail();
    const { instances } = plan.shape;
    await Promise.all(
      Array.from({ length: instances }, (_, i) => this.#supervisor.spawn(i, this.#start(0, 0))),
    );
    const channel = channels[0];
    channel.claim();
    const caller = new Caller({
      pool,
      channel,
      spec: makeSpec(plan),
      results: loadNative() as NativeResults,
      spinUs: plan.spinUs,
      nowMs: () => this.#world.clockMs,
      isOwnerAlive: () => true,
    });
    this.#caller = caller;
    this.#books.ownerWatch = this.#books.watch(this.#world.me);
    this.#supervisor.watch(pool, channels);
    pool.setGate(Gate.open);
    this.#watchdog.look();
    this.#openForCallers();
    const client = new Client(this.#world, this.#loop, this.#stage, this.#books);
    const calls = client.play({
      call: (input, options) => caller.call(input, options),
      room: (rows) => caller.room(rows),
      sync: null,
    });
    const reloads = this.#reloads();
    // Now and then a reload goes on when the pipe is closed.
    const done = this.#world.random.oneIn(3) ? calls : Promise.all([calls, reloads]);
    await Promise.race([this.#untilDone(done), this.#untilAsked()]);
    await this.#close();
    await calls;
    client.checkEnd(caller.counts, caller.freeSlots, caller.quarantined);
    this.#letGo();
  }

  #openForCallers(): void {
    this.#books.open = true;
    this.#world.words[Word.faulty] = 1;
    const { plan } = this.#stage;
    for (let k = 0; k < plan.callers.length; k++) this.#world.threads.mail(1 + plan.shape.instances + k);
  }

  #start(ticket: number, model: number): Start {
    return { ticket, model };
  }

  async #reloads(): Promise<void> {
    const { plan } = this.#stage;
    for (let model = 1; model <= plan.reloads && !this.#over; model++) {
      await this.#loop.sleep(this.#world.random.fraction() * BETWEEN_RELOADS_MS);
      await this.#reload(model);
    }
  }

  /** As Reloader. */
  async #reload(model: number): Promise<void> {
    const { plan } = this.#stage;
    const ticket = await Promise.race([this.#supervisor.beginSuccession(), this.#whenOver]);
    if (typeof ticket !== "number" || this.#over) return;
    const start = this.#start(ticket, model);
    let over: Promise<void>;
    try {
      const { instances } = plan.shape;
      const prepared = Array.from({ length: instances }, (_, i) => this.#supervisor.spawnHeir(i, start));
      await Promise.race([Promise.all(prepared), this.#patience()]);
      over = this.#supervisor.succeed();
    } catch (error) {
      if (!(error instanceof Error) || !FAILURES.test(error.message)) throw error;
      return this.#supervisor.callOff(LEAVE);
    }
    this.#model = model;
    await Promise.race([over, this.#whenOver]);
    if (!this.#over) this.#books.served = model;
  }

  /** When a reload is given up although nothing is wrong with it. */
  async #patience(): Promise<void> {
    const { random, plan } = this.#world;
    if (random.oneIn(plan.reloadFailsOneIn)) await this.#loop.sleep(random.fraction() * 5);
    else await this.#whenOver;
    throw new Error("given up");
  }

  async #untilDone(calls: Promise<unknown>): Promise<void> {
    await calls;
    await new Promise<void>((resolve) => {
      this.#callersDone = resolve;
      this.#lookForCallers();
    });
  }

  #untilAsked(): Promise<void> {
    return new Promise((resolve) => {
      this.#asked = resolve;
      this.#lookForCallers();
    });
  }

  #lookForCallers(): void {
    if (this.#world.words[Word.closing] !== 0) this.#asked?.();
    if (this.#books.callersLeft === 0) this.#callersDone?.();
  }

  /** As Owner.#drain. */
  async #close(): Promise<void> {
    const { pool, channels } = this.#stage;
    this.#caller?.refuse(() => new PipeClosedError());
    this.#endReloads();
    if (pool.gate === Gate.open) pool.setGate(Gate.draining);
    await this.#supervisor.join();
    await this.#caller?.whenIdle();
    this.#books.joined = true;
    pool.setGate(Gate.shut);
    this.#caller?.dismiss();
    for (const channel of channels) channel.ringCaller();
    this.#watchdog.stop();
  }

  /** As Reloader.end. */
  #endReloads(): void {
    this.#over = true;
    this.#onOver();
    this.#supervisor.callOff(LEAVE);
  }

  /** As Owner.#giveUp. */
  #giveUp(reason: string): void {
    this.#endReloads();
    this.#caller?.abandon(() => new PipeClosedError(`Cannot use the pipe any more: ${reason}`));
    for (const channel of this.#stage.channels) channel.ringCaller();
  }

  #letGo(): void {
    this.#books.watches[this.#books.ownerWatch] = Watch.ended;
    this.#books.closed = true;
    for (const thread of seatsOf(this.#stage.plan)) this.#world.threads.mail(thread);
  }

  /** What the instance threads have told, as their Workers' events. */
  #readMail(): void {
    const { outbox } = this.#books;
    for (const thread of seatsOf(this.#stage.plan)) {
      const told = outbox[thread];
      outbox[thread] = 0;
      const worker = workerOf(thread);
      // First, since the end of one thread may begin another.
      if (told & Report.exited) endWorker(thread);
      if (told & Report.prepared) worker?.emit("message", { kind: "prepared" });
      if (told & Report.ready) worker?.emit("message", { kind: "ready" });
      if (told & Report.running) worker?.emit("message", { kind: "running" });
      if (told & Report.closed) worker?.emit("message", { kind: "closed" });
      if (told & Report.exited) worker?.emit("exit", told & Report.closed ? 0 : 1);
    }
    this.#lookForCallers();
  }
}
