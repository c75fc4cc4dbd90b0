/**
 * The simulated machine. Real threads run the code under test, but only the one that holds the baton: before
 * each access to a control word the seed decides who goes on. Time is simulated too. Everything about it lies
 * in one shared block, which only the holder of the baton touches.
 */

import { THREADS, isSeat } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { Random } from "./random.ts";
import { Notes } from "./notes.ts";
import { Status, Threads } from "./threads.ts";
import { WORLD_BYTES, WORLD_WORDS, Word } from "./world-layout.ts";

export const Over = { no: 0, seeds: 1, violation: 2 } as const;

const STEPS_MAX = 400_000;
/** How long timers may ring with nothing coming of it; heartbeats do so for ever. */
const VAIN_MS_MAX = 3000;

const OWNER_THREAD = 0;
/** The clock's first reading. */
const START_MS = 1000;

/** Unwinds a thread that has died; it makes no access any more. */
export class Stopped extends Error {
  override name = "Stopped";
}
/** Unwinds all threads after a violation. */
export class Ended extends Error {}

export class World {
  readonly me: number;
  readonly words: Int32Array;
  readonly random: Random;
  readonly threads: Threads;
  readonly notes: Notes;
  readonly #clock: Float64Array;
  plan: Plan = null as unknown as Plan;
  /** Checks what must hold while nobody has anything to do. */
  onQuiet: () => void = () => {};
  /** Whether this thread may die now. */
  mortal = false;
  #dead = false;

  constructor(buffer: SharedArrayBuffer, me: number) {
    this.me = me;
    this.words = new Int32Array(buffer, 0, WORLD_WORDS);
    this.#clock = new Float64Array(buffer, Word.clock * 4, 1 + THREADS);
    this.random = new Random(this.words, Word.random);
    this.threads = new Threads(this.words, this.#clock.subarray(1), me);
    this.notes = new Notes(this.words, buffer);
  }

  static makeBuffer(): SharedArrayBuffer {
    return new SharedArrayBuffer(WORLD_BYTES);
  }

  get nowMs(): number {
    return this.#clock[0];
  }

  /** What the threads' clocks show: in some plans only every so often. */
  get clockMs(): number {
    const { coarseMs } = this.plan;
    return coarseMs === 0 ? this.nowMs : Math.floor(this.nowMs / coarseMs) * coarseMs;
  }

  get tracing(): boolean {
    return this.words[Word.tracing] !== 0;
  }

  // ---- the holder of the baton

  /** Before each access: somebody else may go on, and faults happen. */
  pause(): void {
    const { words, random, plan } = this;
    this.check();
    if (++words[Word.steps] > STEPS_MAX) this.fail(`no end after ${STEPS_MAX} accesses`);
    this.#clock[0] += plan.stepMs;
    if (words[Word.steps] === plan.faults.closeStep) this.#askToClose();
    if (words[Word.faulty] !== 0) this.#faults();
    if (plan.switchOneIn > 1 && random.below(plan.switchOneIn) !== 0) return;
    this.#pass(this.#next());
  }

  /** Adds an access to what tells runs apart. */
  digest(index: number, value: number): void {
    const { words } = this;
    const mixed = Math.imul(words[Word.digest] ^ (this.me + 1), 0x01000193) ^ index;
    words[Word.digest] = Math.imul(mixed, 0x01000193) ^ value;
  }

  /** Something was written: time does not pass in vain. */
  progress(): void {
    this.words[Word.progressMs] = this.nowMs;
  }

  /** Throws if this thread is not to go on. */
  check(): void {
    if (this.#dead) throw new Stopped();
    if (this.words[Word.over] === Over.violation) throw new Ended();
  }

  /** Waits until somebody wakes this thread, or until `deadlineMs`; false if time was up. */
  block(deadlineMs: number, key = 0): boolean {
    this.threads.wait(Status.waiting, deadlineMs, key);
    this.#maybeDie();
    this.#pass(this.#next());
    return this.threads.endWait();
  }

  sleep(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) this.block(untilMs);
  }

  /** Waits for mail and nothing else. */
  awaitMail(): void {
    while (!this.threads.takeMail()) this.block(Infinity);
  }

  // ---- a thread's life

  /** This thread dies, at the access that it was about to make. */
  #die(): never {
    this.#dead = true;
    this.mortal = false;
    this.threads.forget();
    if (this.tracing) this.trace(`thread ${this.me} dies`);
    throw new Stopped();
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** A successor begins on the same real thread. */
  revive(): void {
    this.#dead = false;
    this.threads.takeMail();
  }

  /** This thread's part is over. The last one says so by returning true, and keeps the baton. */
  leave(): boolean {
    this.threads.status = Status.done;
    this.words[Word.live]--;
    if (this.words[Word.live] === 0) return true;
    this.threads.give(this.#next());
    return false;
  }

  // ---- a seed's life

  /** Prepares the machine for a seed; the thread that called it has the baton. */
  begin(plan: Plan, threads: readonly number[]): void {
    const { words } = this;
    words[Word.seed] = plan.seed;
    words[Word.steps] = 0;
    words[Word.faulty] = 0;
    words[Word.closing] = 0;
    words[Word.live] = threads.length;
    words[Word.random] = Math.imul(plan.seed + 1, 0x2545f491);
    words[Word.instanceDeaths] = plan.faults.instanceDeaths;
    words[Word.callerDeaths] = plan.faults.callerDeaths;
    words[Word.hangs] = plan.faults.hangs;
    this.#clock[0] = START_MS;
    words[Word.progressMs] = START_MS;
    words[Word.slow] = -1;
    this.threads.begin(threads);
  }

  /** Hands the baton to the first thread of a seed, or of none when all seeds are done. */
  start(): void {
    this.threads.give(0);
  }

  /** Waits for the baton; at the begin of a seed, or because all is over. */
  awaitTurn(): void {
    this.threads.await();
    this.#dead = false;
  }

  /** Ends everything: a promise was broken. */
  fail(text: string): never {
    const { words } = this;
    if (words[Word.over] !== Over.violation) {
      if (this.tracing) this.trace(`VIOLATION ${text}`);
      this.notes.violation = text;
      words[Word.over] = Over.violation;
      this.release();
    }
    throw new Ended(text);
  }

  /** Lets all threads go on, each to find out that it is over. */
  release(): void {
    for (let t = 0; t < THREADS; t++) this.threads.give(t);
  }

  trace(text: string): void {
    this.notes.add(`${this.nowMs.toFixed(3).padStart(9)} ${text}`);
  }

  // ---- inside

  #faults(): void {
    const { random, plan } = this;
    const { faults } = plan;
    this.#maybeDie();
    if (random.oneIn(faults.spuriousOneIn)) this.threads.wake(random.below(THREADS));
    if (random.oneIn(faults.lateOneIn)) this.#clock[0] += random.fraction() * 20;
    if (random.oneIn(faults.freezeOneIn)) this.#freeze(30);
  }

  /** The thread stands still for a while, as when its core is taken by others. */
  #freeze(msMax: number): void {
    this.threads.wait(Status.frozen, this.nowMs + this.random.fraction() * msMax, 0);
    this.#pass(this.#next());
  }

  #askToClose(): void {
    this.words[Word.closing] = 1;
    this.threads.mail(OWNER_THREAD);
    if (this.me !== OWNER_THREAD) this.#freeze(10);
  }

  #maybeDie(): void {
    const { words, random, plan } = this;
    if (!this.mortal || words[Word.faulty] === 0 || !random.oneIn(plan.faults.deathOneIn)) return;
    const left = isSeat(plan, this.me) ? Word.instanceDeaths : Word.callerDeaths;
    if (words[left] <= 0) return;
    words[left]--;
    this.#die();
  }

  /** Who goes on. Moves the clock when nobody is ready. */
  #next(): number {
    for (;;) {
      const ready: number[] = [];
      let nextMs = Infinity;
      let frozen = false;
      for (let t = 0; t < THREADS; t++) {
        const status = this.threads.statusOf(t);
        if (status === Status.ready) ready.push(t);
        if (status !== Status.waiting && status !== Status.frozen) continue;
        const deadlineMs = this.threads.deadlineOf(t);
        if (deadlineMs <= this.nowMs) ready.push(t);
        else if (deadlineMs < nextMs) nextMs = deadlineMs;
        frozen ||= status === Status.frozen;
      }
      if (ready.length > 0) return this.#choose(ready);
      if (!frozen) this.onQuiet();
      if (nextMs === Infinity) this.fail("all threads wait for ever");
      if (nextMs - this.words[Word.progressMs] > VAIN_MS_MAX)
        this.fail("everybody waits, and nothing comes of it");
      this.#clock[0] = nextMs;
    }
  }

  #choose(ready: readonly number[]): number {
    const { random, plan, words } = this;
    if (random.oneIn(plan.slowFor)) words[Word.slow] = random.below(THREADS);
    const thread = ready[random.below(ready.length)];
    if (thread !== words[Word.slow] || ready.length === 1 || random.oneIn(16)) return thread;
    return ready[random.below(ready.length)];
  }

  /** Lets `thread` go on, and returns when it is this one's turn again. */
  #pass(thread: number): void {
    if (thread !== this.me) {
      this.threads.give(thread);
      this.threads.await();
      if (this.words[Word.over] === Over.violation) throw new Ended();
    }
    this.threads.status = Status.ready;
  }
}
