/**
 * What must hold at each write to a control word: who may change it, and how. Knows nothing of how the code
 * under test comes to its writes.
 */

import { InstanceWord } from "../../src/memory/layout.ts";
import { INTERRUPT_MS } from "../../src/scheduler/watchdog.ts";
import type { ChannelLayout } from "../../src/memory/layout.ts";
import { Gate, State, Turn } from "../../src/memory/pool.ts";
import { Watch } from "./books.ts";
import type { Books } from "./books.ts";
import { isSeat } from "./plan.ts";
import type { Rows } from "./rows.ts";
import type { Stage } from "./stage.ts";
import type { World } from "./world.ts";
import { POOL, WordNames } from "./words.ts";

const OWNER_THREAD = 0;
/** Sums of small steps are not exact. */
const EPSILON_MS = 0.01;

export class Oracle {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #books: Books;
  readonly #rows: Rows;
  readonly #names: WordNames;

  constructor(world: World, stage: Stage, books: Books, rows: Rows, names: WordNames) {
    this.#world = world;
    this.#stage = stage;
    this.#books = books;
    this.#rows = rows;
    this.#names = names;
  }

  /** The instance that this thread is now: it has to have the line. -1: none. */
  get #instance(): number {
    const { playing, tenant } = this.#books;
    const instance = playing[this.#world.me] - 1;
    return instance !== -1 && tenant[instance] === this.#world.me ? instance : -1;
  }

  get #isGivenUp(): boolean {
    return this.#books.givenUp[this.#world.me] !== 0;
  }

  get role(): string {
    if (this.#world.me === OWNER_THREAD) return "owner";
    const { plan } = this.#stage;
    if (!isSeat(plan, this.#world.me)) return `caller${this.#world.me - plan.shape.instances}`;
    const instance = this.#books.playing[this.#world.me] - 1;
    if (this.#isGivenUp) return `late${instance}`;
    return `instance${instance}${this.#instance === -1 ? " without a line" : ""}`;
  }

  write(buffer: number, index: number, before: number, after: number): void {
    const wrong =
      buffer === POOL ? this.#pool(index, before, after) : this.#channel(buffer - 1, index, before, after);
    if (wrong === null) return;
    const show = (value: number): string => this.#names.show(buffer, index, value);
    const word = this.#names.name(buffer, index);
    this.#world.fail(`${this.role} changes ${word} from ${show(before)} to ${show(after)}: ${wrong}`);
  }

  // ---- the pool block: what is wrong with a write, or null

  #pool(index: number, before: number, after: number): string | null {
    const { layout } = this.#stage.pool;
    if (index === layout.lead) return this.#lead(before, after);
    if (index === layout.gate) {
      if (this.#world.me !== OWNER_THREAD) return "only the owner moves the gate";
      // Before the owner has joined its threads only a pipe that gives up is shut.
      if (after === Gate.shut && !this.#books.joined) this.#books.hopeless = true;
      return after >= before ? null : "the gate does not open again";
    }
    const line = index - layout.instances;
    const instance = Math.floor(line / InstanceWord.words);
    if (line < 0 || instance >= this.#stage.plan.shape.instances) return null;
    const field = line % InstanceWord.words;
    if (field === InstanceWord.wake) return grows(before, after);
    if (field === InstanceWord.turn) return this.#turn(instance, before, after);
    if (field === InstanceWord.run) return this.#run(instance, before, after);
    if (field === InstanceWord.away) return after >= 0 ? null : "more come back than went";
    if (this.#isGivenUp) return "the instance is another thread's";
    if (instance !== this.#instance && this.#world.me !== OWNER_THREAD)
      return "a state is its instance's own";
    if (after === State.idle || after === State.dead) this.#books.busy[instance] = 0;
    return null;
  }

  /** A line changes hands. */
  #turn(instance: number, before: number, after: number): string | null {
    const isOwner = this.#world.me === OWNER_THREAD;
    const [was, is] = [before & 3, after & 3];
    if (is === Turn.waiting) {
      if (!isOwner || after >>> 2 <= before >>> 2) return "only the owner announces, with tickets that grow";
      return was === Turn.asked ? "somebody else is to have the line" : null;
    }
    if (after >>> 2 !== before >>> 2) return "the ticket is another";
    if (is === Turn.asked) return isOwner && was === Turn.waiting ? null : "only the owner asks, and once";
    if (is === Turn.calledOff) {
      return isOwner && was !== Turn.given ? null : "only the owner calls off, unless the line is given";
    }
    if (was !== Turn.asked) return "nobody asked for the line";
    if (this.#instance !== instance && (!isOwner || this.#books.lives(instance)))
      return "it is another's line";
    return this.#give(instance);
  }

  /** What it had as the instance, the one that gives must not have any more. */
  #give(instance: number): string | null {
    const { tenant, heir, busy } = this.#books;
    const { pool } = this.#stage;
    if (pool.words[pool.layout.lead] === instance + 1) return "it still leads";
    if (busy[instance] !== 0 || this.#rows.hasTaken(instance)) return "it has rows that are not answered";
    tenant[instance] = heir[instance];
    return null;
  }

  /** The begin and the end of a call, or the watchdog that gives it up. */
  #run(instance: number, before: number, after: number): string | null {
    const epochs = ((after >>> 24) - (before >>> 24)) & 0xff;
    if (this.#world.me !== OWNER_THREAD) {
      if (this.#isGivenUp || instance !== this.#instance) return "the call is another thread's";
      if (epochs !== 0) return "only the owner begins an epoch";
      return (before & 1) + (after & 1) === 1 ? null : "one call at a time";
    }
    if (epochs !== 1 || (after & 1) !== 0) return "the owner begins the next epoch, and no call";
    if (!this.#books.lives(instance)) return null;
    const { pool, plan } = this.#stage;
    const boundMs = plan.runTimeoutMs + INTERRUPT_MS - plan.coarseMs;
    const [startedMs] = pool.callStart(instance);
    if ((before & 1) === 0) return "it is in no call";
    if (plan.runTimeoutMs === 0 || this.#world.nowMs - startedMs < boundMs - EPSILON_MS)
      return "it is too early";
    this.#books.giveUp(instance);
    return null;
  }

  #lead(before: number, after: number): string | null {
    if (this.#isGivenUp) return "the instance is another thread's";
    if (after !== 0) {
      if (before !== 0) return "somebody leads already";
      return after === this.#instance + 1 ? null : "the lead is taken for oneself alone";
    }
    if (before === 0) return this.#instance === -1 ? null : "this instance does not lead";
    if (before === this.#instance + 1) return null;
    const isFreed = this.#world.me === OWNER_THREAD && !this.#books.lives(before - 1);
    return isFreed ? null : "only the leader gives the lead up, or the supervisor when it is dead";
  }

  // ---- a channel

  #channel(channel: number, index: number, before: number, after: number): string | null {
    const { control, layout } = this.#stage.channels[channel];
    if (index >= layout.word && index < layout.word + this.#stage.plan.shape.slots) {
      return this.#rows.slot(channel, index - layout.word, before, after, this.#instance);
    }
    if (index >= layout.done && index < layout.done + layout.doneWords) {
      return this.#rows.done(channel, index - layout.done, before, after);
    }
    const isCaller = this.#books.holder[channel] === this.#world.me;
    if (index === layout.tail) {
      if (!isCaller) return "only the caller publishes";
      return grows(before, after) ?? ringFits(layout, after, control[layout.head]);
    }
    if (index === layout.head) {
      if (this.#stage.pool.words[this.#stage.pool.layout.lead] !== this.#instance + 1)
        return "only the leader reads the ring";
      return ringFits(layout, control[layout.tail], after);
    }
    if (index === layout.bell) return grows(before, after);
    if (index === layout.owner) return this.#owner(channel, before, after);
    if (index === layout.watch) return this.#watch(channel, before, after);
    return null;
  }

  #owner(channel: number, before: number, after: number): string | null {
    const { holder } = this.#books;
    if (after !== 0) {
      if (before !== 0) return "it is claimed";
      holder[channel] = this.#world.me;
      return null;
    }
    if (holder[channel] !== this.#world.me) return "only the caller releases its channel";
    holder[channel] = -1;
    // Nobody comes after a pipe that gave up.
    return this.#books.hopeless || this.#rows.allFree(channel) ? null : "rows are still in flight";
  }

  #watch(channel: number, before: number, after: number): string | null {
    const { holder, watches, watchOf } = this.#books;
    watchOf[channel] = after;
    if (holder[channel] === this.#world.me) {
      // An heir for whom it is too early leaves the channel to the dead.
      if (watches[after] === Watch.dead || watches[after] === Watch.ended) holder[channel] = -1;
      return null;
    }
    if (before === 0) return "the channel is another thread's";
    if (watches[before] > 0) return "its caller lives";
    holder[channel] = this.#world.me;
    return after === 0 ? "the watch is the heir's" : null;
  }
}

function grows(before: number, after: number): string | null {
  return after === ((before + 1) | 0) ? null : "it grows by one";
}

function ringFits(layout: ChannelLayout, tail: number, head: number): string | null {
  const used = (tail - head) | 0;
  if (used < 0) return "the head is beyond the tail";
  return used <= layout.ringEntries ? null : "entries that were not read are written over";
}
