/**
 * What the checks remember: every row, who has which channel, who lives. Shared by all threads and touched by
 * the holder of the baton alone.
 */

import { CHANNELS_MAX, INSTANCES_MAX, SLOTS_MAX, THREADS } from "./plan.ts";

export const ROWS_MAX = 4096;
const WATCHES_MAX = 256;

/** What became of a row. */
export const Row = { unborn: 0, queued: 1, taken: 2, done: 3, answered: 4, withdrawn: 5, lost: 6 } as const;

/** What an instance thread tells the owner's thread, in this order. */
export const Report = { prepared: 1, ready: 2, running: 4, closed: 8, exited: 16 } as const;

/** States of a watch on a thread. */
export const Watch = { ended: -2, dead: -1, unused: 0 } as const;

export class Books {
  /** By row. The verdict is the outcome that the engine gave it, -1 before. */
  readonly state: Uint8Array;
  readonly verdict: Int32Array;
  readonly shape: Int32Array;
  /** By row: the model that was served for sure when it was published; an older one must not answer. */
  readonly needs: Int32Array;
  /** By channel and slot: the row that was published there last. */
  readonly slotRow: Int32Array;
  /** By channel: the thread that has it, -1 none. */
  readonly holder: Int32Array;
  /** By channel: the watch on whoever has it. */
  readonly watchOf: Int32Array;
  /** By instance: the thread that has its line, 0 none, and the one that is to have it next. */
  readonly tenant: Int32Array;
  readonly heir: Int32Array;
  /** By instance: how the batch that it takes or runs looks. */
  readonly batchRows: Int32Array;
  readonly batchShape: Int32Array;
  readonly batchReasons: Int32Array;
  /** By instance: whether it has a batch, from the first row that it takes until it says that it is idle. */
  readonly busy: Int32Array;
  /** By channel and slot: the thread that took the row there last. */
  readonly slotThread: Int32Array;
  /** By thread: whether an instance runs on it; which one plus one is to start, and which one plays. */
  readonly alive: Int32Array;
  readonly command: Int32Array;
  readonly playing: Int32Array;
  /** By thread: what it has to tell. */
  readonly outbox: Int32Array;
  /** By thread: its ticket for the line, 0 if it has the line from the start, and the model that it runs. */
  readonly ticket: Int32Array;
  readonly model: Int32Array;
  /** By thread: whether it was given up, and the run that is asked to end. */
  readonly givenUp: Int32Array;
  readonly asked: Int32Array;
  /** By handle: the thread plus one, or a state of Watch. */
  readonly watches: Int32Array;
  readonly #counts: Int32Array;
  readonly #buffer: SharedArrayBuffer;

  constructor(buffer: SharedArrayBuffer) {
    let at = 0;
    const words = (count: number): Int32Array => {
      const taken = new Int32Array(buffer, at, count);
      at += count * 4;
      return taken;
    };
    this.verdict = words(ROWS_MAX);
    this.shape = words(ROWS_MAX);
    this.needs = words(ROWS_MAX);
    this.slotRow = words(CHANNELS_MAX * SLOTS_MAX);
    this.holder = words(CHANNELS_MAX);
    this.watchOf = words(CHANNELS_MAX);
    this.tenant = words(INSTANCES_MAX);
    this.heir = words(INSTANCES_MAX);
    this.batchRows = words(INSTANCES_MAX);
    this.batchShape = words(INSTANCES_MAX);
    this.batchReasons = words(INSTANCES_MAX);
    this.busy = words(INSTANCES_MAX);
    this.slotThread = words(CHANNELS_MAX * SLOTS_MAX);
    this.alive = words(THREADS);
    this.command = words(THREADS);
    this.playing = words(THREADS);
    this.outbox = words(THREADS);
    this.ticket = words(THREADS);
    this.model = words(THREADS);
    this.givenUp = words(THREADS);
    this.asked = words(THREADS);
    this.watches = words(WATCHES_MAX);
    this.#counts = words(16);
    this.state = new Uint8Array(buffer, at, ROWS_MAX);
    this.#buffer = buffer;
  }

  static makeBuffer(): SharedArrayBuffer {
    return new SharedArrayBuffer(ROWS_MAX * 17 + CHANNELS_MAX * SLOTS_MAX * 8 + 4096);
  }

  clear(): void {
    new Uint8Array(this.#buffer).fill(0);
    this.holder.fill(-1);
    this.verdict.fill(-1);
  }

  newRow(shape: number): number {
    // Row 0 stays unused: empty memory must not look like a row.
    const row = ++this.#counts[0];
    if (row >= ROWS_MAX) throw new Error(`more than ${ROWS_MAX} rows`);
    this.shape[row] = shape;
    return row;
  }

  get rows(): number {
    return this.#counts[0];
  }

  /** The pipe gave up: whoever waits is told so, and gets no answer. */
  get hopeless(): boolean {
    return this.#counts[2] !== 0;
  }

  set hopeless(hopeless: boolean) {
    this.#counts[2] = hopeless ? 1 : 0;
  }

  /** All instances have ended because the pipe was closed. */
  get joined(): boolean {
    return this.#counts[9] !== 0;
  }

  set joined(joined: boolean) {
    this.#counts[9] = joined ? 1 : 0;
  }

  /** The owner lets the instance threads go: the pipe is closed. */
  get closed(): boolean {
    return this.#counts[3] !== 0;
  }

  set closed(closed: boolean) {
    this.#counts[3] = closed ? 1 : 0;
  }

  get open(): boolean {
    return this.#counts[4] !== 0;
  }

  set open(open: boolean) {
    this.#counts[4] = open ? 1 : 0;
  }

  /** Whether any row was given up: a leader may then see lists as fuller than they are. */
  get gaveUp(): boolean {
    return this.#counts[5] !== 0;
  }

  set gaveUp(gaveUp: boolean) {
    this.#counts[5] = gaveUp ? 1 : 0;
  }

  /** Whether any call was given up: some rows are told twice then. */
  get hasLost(): boolean {
    return this.#counts[11] !== 0;
  }

  set hasLost(lost: boolean) {
    this.#counts[11] = lost ? 1 : 0;
  }

  /** The thread in that instance's call is given up, and has the line no more. */
  giveUp(instance: number): void {
    this.givenUp[this.tenant[instance]] = 1;
    this.tenant[instance] = 0;
    this.hasLost = true;
  }

  /** Callers that have not ended yet. */
  get callersLeft(): number {
    return this.#counts[7];
  }

  set callersLeft(callers: number) {
    this.#counts[7] = callers;
  }

  /** The model that all instances run for sure: reloads are counted from 1. */
  get served(): number {
    return this.#counts[10];
  }

  set served(model: number) {
    this.#counts[10] = model;
  }

  /** A thread that died while it had a line, or was to have one, is free of it when it begins anew. */
  leaveLines(thread: number): void {
    for (const [i, tenant] of this.tenant.entries()) if (tenant === thread) this.tenant[i] = 0;
    for (const [i, heir] of this.heir.entries()) if (heir === thread) this.heir[i] = 0;
  }

  /** Whether the thread that has an instance's line lives. */
  lives(instance: number): boolean {
    return this.alive[this.tenant[instance]] !== 0;
  }

  /** Whether a living thread has the channel. */
  isHeld(channel: number): boolean {
    return this.holder[channel] !== -1;
  }

  /** The watch on the owner's thread. */
  get ownerWatch(): number {
    return this.#counts[8];
  }

  set ownerWatch(watch: number) {
    this.#counts[8] = watch;
  }

  watch(thread: number): number {
    const handle = ++this.#counts[6];
    if (handle >= WATCHES_MAX) throw new Error(`more than ${WATCHES_MAX} watches`);
    this.watches[handle] = thread + 1;
    return handle;
  }

  /** A watch ends. A channel whose caller it watched is left behind, if it was not released before. */
  leave(watch: number): void {
    const thread = this.watches[watch] - 1;
    this.watches[watch] = Watch.ended;
    for (const [channel, watched] of this.watchOf.entries()) {
      if (watched === watch && this.holder[channel] === thread) this.holder[channel] = -1;
    }
  }

  /** The thread died: its watches say so, and its channels have nobody. */
  endWatchesOf(thread: number): void {
    for (const [channel, holder] of this.holder.entries()) if (holder === thread) this.holder[channel] = -1;
    for (let h = 0; h < WATCHES_MAX; h++) if (this.watches[h] === thread + 1) this.watches[h] = Watch.dead;
  }
}
