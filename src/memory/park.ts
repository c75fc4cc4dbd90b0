/**
 * How a caller waits for answers: on the event loop without blocking it, or blocked in a Worker.
 *
 * Look before you wait: the bell is read, then the done bits, and only then the caller sleeps on the bell's
 * old value. A pending waitAsync does not keep a process alive, so a timer does while requests are in flight.
 * waitAsync never gets a timeout: such a wait would hold memory until it expires.
 */

import { setImmediate, setInterval } from "node:timers";
import { atomics } from "./atomics.ts";
import type { Channel } from "./channel.ts";
import type { Spin } from "./spin.ts";

/** How long answers are looked for again and again in one turn of the event loop. */
const TURN_MS = 1;
/**
 * Looks in one turn while polling: together they take about as long as a turn of an event loop that has
 * nothing to do. With one look, an answer that comes just after it waits for a whole turn, a third of a lone
 * request's time.
 */
const TURN_LOOKS = 64;
/** How often a waiting caller makes sure that somebody is left to answer. Answers never wait for this. */
const CHECK_MS = 250;

export interface Doorman {
  /**
   * Takes done bits and settles them; the number of rows found. May leave some for the next look (see
   * `more`).
   */
  look(): number;
  /** Rows still to come. */
  inFlight(): number;
  /** When `check` is to be called at the latest, in ms of the clock; Infinity if that is no matter. */
  nearestMs(): number;
  /**
   * Called now and then while rows are to come: gives up what is no longer wanted, and all of it if nobody is
   * left to answer.
   */
  check(): void;
}

export class Doorbell {
  readonly #channel: Channel;
  readonly #spin: Spin;
  readonly #nowMs: () => number;
  readonly #door: Doorman;
  readonly #alive: NodeJS.Timeout;
  #armed = false;
  #pollUntilMs = 0;
  #turnUntilMs = 0;

  constructor(channel: Channel, spin: Spin, nowMs: () => number, door: Doorman) {
    this.#channel = channel;
    this.#spin = spin;
    this.#nowMs = nowMs;
    this.#door = door;
    this.#alive = setInterval(() => door.check(), CHECK_MS);
    this.#alive.unref();
  }

  /**
   * Starts to wait, if nobody waits yet. Called after rows were published; every found row starts the wait
   * anew.
   */
  arm(): void {
    if (this.#armed || this.#door.inFlight() === 0) return;
    this.#armed = true;
    this.#alive.ref();
    this.#begin();
  }

  /**
   * Blocks this thread until the door has found something or `done` says so. Only where blocking is allowed.
   */
  block(done: () => boolean): void {
    const { control, layout } = this.#channel;
    for (;;) {
      const seen = atomics.load(control, layout.bell);
      atomics.store(control, layout.waiting, 1);
      const found = this.#door.look();
      if (done()) return;
      // A look that found something may have left some for the next one, and nobody rings for those again.
      if (found > 0) continue;
      const leftMs = Math.max(0, this.#door.nearestMs() - this.#nowMs());
      const waited = atomics.wait(control, layout.bell, seen, Math.min(CHECK_MS, leftMs));
      if (waited === "timed-out") this.#door.check();
    }
  }

  /** Lets a sleeping wait end, so that nothing of this caller stays behind. */
  dismiss(): void {
    clearInterval(this.#alive);
    this.#channel.wakeCaller();
  }

  #begin(): void {
    const budgetMs = this.#spin.begin();
    if (budgetMs === 0) return this.#sleep();
    this.#pollUntilMs = this.#nowMs() + budgetMs;
    setImmediate(this.#poll);
  }

  readonly #poll = (): void => {
    this.#beginTurn();
    let found = false;
    for (let look = 0; look < TURN_LOOKS && !found; look++) found = this.#door.look() > 0;
    if (!found && this.#nowMs() < this.#pollUntilMs) {
      setImmediate(this.#poll);
      return;
    }
    this.#spin.end(found);
    if (found) this.#found();
    else this.#sleep();
  };

  #sleep(): void {
    const { control, layout } = this.#channel;
    const seen = atomics.load(control, layout.bell);
    atomics.store(control, layout.waiting, 1);
    if (this.#door.look() > 0) {
      atomics.store(control, layout.waiting, 0);
      // Not in a microtask: answers that always lie ready would keep this thread from its event loop.
      setImmediate(this.#nextTurn);
      return;
    }
    const wait = atomics.waitAsync(control, layout.bell, seen);
    if (wait.async) void wait.value.then(this.#woken);
    else setImmediate(this.#woken);
  }

  readonly #woken = (): void => {
    this.#beginTurn();
    if (this.#door.look() > 0) return this.#found();
    if (this.#door.inFlight() > 0) this.#sleep();
    else this.#rest();
  };

  #beginTurn(): void {
    this.#turnUntilMs = this.#nowMs() + TURN_MS;
  }

  readonly #nextTurn = (): void => {
    this.#beginTurn();
    this.#goOn();
  };

  /** Callers go on in the microtasks that follow; what they ask for is waited for from a fresh start. */
  #found(): void {
    queueMicrotask(this.#goOn);
  }

  /**
   * Looks again in the same turn, so that callers and instances work side by side: a caller that settled all
   * there is before it lets anybody go on would leave the instances with nothing to do meanwhile.
   */
  readonly #goOn = (): void => {
    if (this.#door.inFlight() === 0) this.#rest();
    else if (this.#nowMs() < this.#turnUntilMs && this.#door.look() > 0) this.#found();
    else this.#begin();
  };

  #rest(): void {
    this.#armed = false;
    this.#alive.unref();
  }
}
