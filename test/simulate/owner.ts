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
import { SEATS_MAX, seatOf, threadOfSeat, threadsOf } from "./plan.ts";
import { loadNative, workerOf } from "./runtime.ts";
import { makeSpec } from "./stage.ts";
import type { Stage } from "./stage.ts";
import { Word } from "./world-layout.ts";
import type { World } from "./world.ts";

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

  constructor(world: World, loop: Loop, stage: Stage, books: Books) {
    this.#world = world;
    this.#loop = loop;
    this.#stage = stage;
    this.#books = books;
    this.#supervisor = new Supervisor<Said>(new URL("file:///worker.js"), {
      startMessage: (instance) => instance,
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
    const seat = this.#books.seatOfInstance(instance);
    if (seat === -1) return;
    this.#books.asked[seat] = run;
    this.#world.threads.mail(threadOfSeat(this.#stage.plan, seat));
  }

  async play(): Promise<void> {
    const { plan, pool, channels } = this.#stage;
    this.#loop.onMail = () => this.#readMail();
    const { instances } = plan.shape;
    await Promise.all(Array.from({ length: instances }, (_, i) => this.#supervisor.spawn(i, i)));
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
    await Promise.race([this.#untilDone(calls), this.#untilAsked()]);
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

  async #untilDone(calls: Promise<void>): Promise<void> {
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
    if (pool.gate === Gate.open) pool.setGate(Gate.draining);
    await this.#supervisor.join();
    await this.#caller?.whenIdle();
    this.#books.joined = true;
    pool.setGate(Gate.shut);
    this.#caller?.dismiss();
    for (const channel of channels) channel.ringCaller();
    this.#watchdog.stop();
  }

  /** As Owner.#giveUp. */
  #giveUp(reason: string): void {
    this.#caller?.abandon(() => new PipeClosedError(`Cannot use the pipe any more: ${reason}`));
    for (const channel of this.#stage.channels) channel.ringCaller();
  }

  #letGo(): void {
    this.#books.watches[this.#books.ownerWatch] = Watch.ended;
    this.#books.closed = true;
    const { plan } = this.#stage;
    for (const thread of threadsOf(plan)) if (seatOf(plan, thread) !== -1) this.#world.threads.mail(thread);
  }

  /** What the instance threads have told, as their Workers' events. */
  #readMail(): void {
    const { outbox, taken } = this.#books;
    for (let seat = 0; seat < SEATS_MAX; seat++) {
      const told = outbox[seat];
      outbox[seat] = 0;
      const worker = workerOf(seat);
      // First, since the end of one thread may begin another.
      if (told & Report.exited) taken[seat] = 0;
      if (told & Report.ready) worker?.emit("message", { kind: "ready" });
      if (told & Report.running) worker?.emit("message", { kind: "running" });
      if (told & Report.closed) worker?.emit("message", { kind: "closed" });
      if (told & Report.exited) worker?.emit("exit", told & Report.closed ? 0 : 1);
    }
    this.#lookForCallers();
  }
}
