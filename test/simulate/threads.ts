/** The table of simulated threads: who is ready, who waits for what and until when, and who has the baton. */

import { THREADS } from "./plan.ts";
import { Thread, Word } from "./world-layout.ts";

export const Status = { absent: 0, ready: 1, waiting: 2, frozen: 3, done: 4 } as const;

export class Threads {
  readonly #words: Int32Array;
  /** By thread: when it waits no longer, in ms. */
  readonly #deadlines: Float64Array;
  readonly #me: number;

  constructor(words: Int32Array, deadlines: Float64Array, me: number) {
    this.#words = words;
    this.#deadlines = deadlines;
    this.#me = me;
  }

  /** The threads of a seed, all of them ready. */
  begin(threads: readonly number[]): void {
    for (let t = 0; t < THREADS; t++) {
      const line = this.#line(t);
      this.#words.fill(0, line + Thread.status, line + Thread.words);
      this.#set(Thread.status, threads.includes(t) ? Status.ready : Status.absent, t);
    }
  }

  // ---- the baton: the only words here that several threads touch at once

  give(thread: number): void {
    Atomics.store(this.#words, this.#line(thread) + Thread.baton, 1);
    Atomics.notify(this.#words, this.#line(thread) + Thread.baton);
  }

  await(): void {
    const at = this.#line(this.#me) + Thread.baton;
    while (Atomics.load(this.#words, at) === 0) Atomics.wait(this.#words, at, 0);
    Atomics.store(this.#words, at, 0);
  }

  // ---- this thread

  get status(): number {
    return this.statusOf(this.#me);
  }

  set status(status: number) {
    this.#set(Thread.status, status);
  }

  /** Says what this thread waits for; `key` 0: for no word. */
  wait(status: number, deadlineMs: number, key: number): void {
    this.#set(Thread.status, status);
    this.#set(Thread.key, key);
    this.#set(Thread.woken, 0);
    this.#deadlines[this.#me] = deadlineMs;
  }

  /** Whether somebody ended this thread's wait, before its time was up. */
  endWait(): boolean {
    this.#set(Thread.key, 0);
    return this.#get(Thread.woken) !== 0;
  }

  /** It waits for nothing any more: it is dead. */
  forget(): void {
    this.#set(Thread.status, Status.ready);
    for (const word of [Thread.key, Thread.asyncKey, Thread.asyncFired]) this.#set(word, 0);
  }

  takeMail(): boolean {
    const had = this.#get(Thread.mail) !== 0;
    this.#set(Thread.mail, 0);
    return had;
  }

  /** False if this thread has a waitAsync pending already. */
  armAsync(key: number): boolean {
    if (this.#get(Thread.asyncKey) !== 0) return false;
    this.#set(Thread.asyncKey, key);
    return true;
  }

  takeAsyncFired(): boolean {
    const fired = this.#get(Thread.asyncFired) !== 0;
    this.#set(Thread.asyncFired, 0);
    return fired;
  }

  // ---- any thread

  statusOf(thread: number): number {
    return this.#get(Thread.status, thread);
  }

  keyOf(thread: number): number {
    return this.#get(Thread.key, thread);
  }

  deadlineOf(thread: number): number {
    return this.#deadlines[thread];
  }

  /** Something other than a control word tells the thread to look. */
  mail(to: number): void {
    this.#set(Thread.mail, 1, to);
    this.wake(to);
  }

  /** Ends the thread's wait, if it waits. */
  wake(thread: number): void {
    if (this.statusOf(thread) !== Status.waiting) return;
    this.#set(Thread.status, Status.ready, thread);
    this.#set(Thread.woken, 1, thread);
  }

  /** Wakes every thread that waits for a word. */
  wakeAll(key: number): number {
    let woken = 0;
    for (let t = 0; t < THREADS; t++) {
      const isAsync = this.#get(Thread.asyncKey, t) === key;
      if (isAsync) {
        this.#set(Thread.asyncKey, 0, t);
        this.#set(Thread.asyncFired, 1, t);
      } else if (this.keyOf(t) !== key || this.statusOf(t) !== Status.waiting) continue;
      this.wake(t);
      woken++;
    }
    return woken;
  }

  #get(word: number, thread = this.#me): number {
    return this.#words[this.#line(thread) + word];
  }

  #set(word: number, value: number, thread = this.#me): void {
    this.#words[this.#line(thread) + word] = value;
  }

  #line(thread: number): number {
    return Word.threads + thread * Thread.words;
  }
}
