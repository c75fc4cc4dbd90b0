/**
 * Threads that are to take instances' lines over from those that serve, one for each line, and how a line
 * changes hands: see Turn. On the owner's thread. Who has a line is what its turn word says; what is kept
 * here follows it.
 */

import type { Pool } from "../memory/pool.ts";

/** What is known of a thread here. */
export interface Successor {
  readonly instance: number;
  /** Grows from one succession to the next; 0: it had its line from the start. */
  ticket: number;
  /** Its thread has not ended. */
  living: boolean;
}

export class Succession<T extends Successor> {
  readonly #pool: () => Pool;
  readonly #heirs = new Map<number, T>();
  #ticket = 0;
  #done: (() => void) | null = null;

  constructor(pool: () => Pool) {
    this.#pool = pool;
  }

  /** A new succession begins; returns the ticket that its threads have. */
  begin(): number {
    return ++this.#ticket;
  }

  add(heir: T): void {
    heir.ticket = this.#ticket;
    this.#pool().announce(heir.instance, heir.ticket);
    this.#heirs.set(heir.instance, heir);
  }

  /** The thread that waits for an instance's line, alive or dead. */
  get(instance: number): T | undefined {
    return this.#heirs.get(instance);
  }

  /** Lines for which a living thread waits. */
  get living(): number {
    return [...this.#heirs.values()].filter(({ living }) => living).length;
  }

  /** Asks all lines to be given away; resolves when they are. Nothing takes it back but an end. */
  ask(): Promise<void> {
    const done = new Promise<void>((resolve) => {
      this.#done = resolve;
    });
    for (const [instance, { ticket }] of this.#heirs) this.#pool().ask(instance, ticket);
    return done;
  }

  /** The thread that an instance's line was given to meanwhile; it is an heir no more. */
  takeGiven(instance: number): T | null {
    const heir = this.#heirs.get(instance);
    if (heir === undefined || !this.#pool().isGiven(instance, heir.ticket)) return null;
    this.#heirs.delete(instance);
    this.#pool().tellTurn(instance);
    if (this.#heirs.size === 0) this.#done?.();
    return heir;
  }

  /** Nobody is to take a line over any more. Returns the threads that have none. */
  callOff(): T[] {
    const off = [...this.#heirs.values()].filter(({ instance, ticket }) =>
      this.#pool().callOff(instance, ticket),
    );
    for (const { instance } of off) this.#heirs.delete(instance);
    return off;
  }
}
