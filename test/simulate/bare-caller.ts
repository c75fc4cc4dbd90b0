/**
 * A caller that uses its channel itself, blocks for its answers, and gives rows up: what `Caller` does not
 * do, or not often.
 */

import type { Channel } from "../../src/memory/channel.ts";
import { PRIORITIES } from "../../src/memory/layout.ts";
import { Doorbell } from "../../src/memory/park.ts";
import { Gate } from "../../src/memory/pool.ts";
import { Outcome, Phase, outcomeOf, phaseOf } from "../../src/memory/slot.ts";
import { Spin } from "../../src/memory/spin.ts";
import { Row } from "./books.ts";
import type { Books } from "./books.ts";
import { makeRows } from "./client.ts";
import type { Loop } from "./loop.ts";
import type { Stage } from "./stage.ts";
import type { World } from "./world.ts";

export class BareCaller {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #books: Books;
  #channel: Channel | null = null;
  #free: number[] = [];
  /** Slots in flight. */
  readonly #slots = new Set<number>();
  /** Slots of calls that hang: told, and not free yet. */
  readonly #kept = new Set<number>();
  #abandoned = false;

  constructor(world: World, stage: Stage, books: Books) {
    this.#world = world;
    this.#stage = stage;
    this.#books = books;
  }

  get isClaimed(): boolean {
    return this.#channel !== null;
  }

  /** As src/pipe/attach.ts claims a channel; it does not look at the gate. */
  claim(): boolean {
    const { channels, plan } = this.#stage;
    const { watches } = this.#books;
    for (const channel of channels) {
      const isFree = channel.claim();
      if (isFree) channel.watch = this.#books.watch(this.#world.me);
      else {
        const watch = channel.watch;
        if (watch === 0 || watches[watch] > 0) continue;
        if (!channel.inherit(watch, this.#books.watch(this.#world.me))) continue;
      }
      this.#channel = channel;
      this.#free = Array.from({ length: plan.shape.slots }, (_, slot) => plan.shape.slots - 1 - slot);
      return true;
    }
    return false;
  }

  async play(loop: Loop): Promise<void> {
    const channel = this.#channel!;
    const { random } = this.#world;
    const { plan, pool } = this.#stage;
    const bell = new Doorbell(channel, new Spin(0), () => this.#world.clockMs, {
      look: () => this.#look(channel),
      inFlight: () => this.#slots.size,
      nearestMs: () => Infinity,
      check: () => this.#check(channel),
    });
    for (let left = plan.requests; left > 0 && pool.gate === Gate.open; left--) {
      this.#publish(channel);
      if (random.oneIn(2)) this.#giveUpSome(channel);
      const enough = random.oneIn(3) ? 0 : random.below(this.#slots.size + 1);
      bell.block(() => this.#slots.size <= enough);
      if (random.oneIn(3)) await loop.sleep(random.fraction() * plan.thinkMs);
    }
    bell.block(() => this.#slots.size === 0);
    bell.dismiss();
    // In this order, as src/pipe/attach.ts: a channel whose watch has ended is a dead thread's.
    const watch = channel.watch;
    if (this.#kept.size === 0) channel.release();
    this.#books.leave(watch);
  }

  #publish(channel: Channel): void {
    const { plan, pool } = this.#stage;
    const { random } = this.#world;
    const shape = random.below(plan.shapes);
    const count = Math.min(random.between(1, plan.rowsMax), this.#free.length, channel.ringRoom);
    if (count <= 0) return;
    const { data, elements } = makeRows(this.#world, this.#books, this.#stage, count, shape);
    const enteredMs = this.#world.clockMs;
    const isPatient = !random.oneIn(plan.faults.timeoutOneIn);
    const deadlineMs = isPatient ? 0 : enteredMs + random.fraction() * plan.patienceMs;
    const priority = plan.priorities ? random.below(PRIORITIES) : 1;
    const { control, layout } = channel;
    for (let i = 0; i < count; i++) {
      const slot = this.#free.pop()!;
      this.#stage.inputs[channel.index].set(
        data.subarray(i * elements, (i + 1) * elements),
        this.#stage.inputAt(slot),
      );
      if (plan.shape.inputDims > 0) control[layout.inputDims + slot] = elements;
      channel.schedule(slot, enteredMs, deadlineMs, priority);
      this.#slots.add(slot);
      channel.publish(slot);
    }
    // Who closed the pipe meanwhile may not see these rows any more.
    if (pool.gate === Gate.open) pool.ring(channel.index);
    else for (const slot of this.#slots) this.#giveUp(channel, slot);
  }

  #giveUpSome(channel: Channel): void {
    for (const slot of this.#slots) if (this.#world.random.oneIn(3)) this.#giveUp(channel, slot);
  }

  #giveUp(channel: Channel, slot: number): void {
    if (!channel.cancel(slot)) return;
    this.#slots.delete(slot);
    this.#free.push(slot);
  }

  #look(channel: Channel): number {
    if (this.#abandoned) return 0;
    let found = 0;
    for (let word = 0; word < channel.layout.doneWords; word++) {
      let bits = channel.takeDone(word);
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits);
        bits &= ~(1 << bit);
        const slot = word * 32 + bit;
        const phase = phaseOf(channel.wordOf(slot));
        if (phase === Phase.lost && this.#slots.delete(slot)) {
          this.#kept.add(slot);
          found++;
        }
        // After an instance's death some rows are told twice.
        if (phase !== Phase.done) continue;
        this.#answered(channel, slot);
        found++;
      }
    }
    return found;
  }

  #answered(channel: Channel, slot: number): void {
    const word = channel.wordOf(slot);
    const row = this.#stage.inputs[channel.index][this.#stage.inputAt(slot)];
    if (!this.#slots.delete(slot) && !this.#kept.delete(slot))
      this.#world.fail(`slot ${slot} was answered, but nobody asked`);
    const at = this.#stage.outputAt(slot);
    const output = this.#stage.outputs[channel.index];
    if (outcomeOf(word) === Outcome.ok && (output[at] !== row || output[at + 1] !== ~row)) {
      this.#world.fail(`row ${row} got the answer of row ${output[at]}`);
    }
    channel.recycle(slot, word);
    if (this.#books.state[row] !== Row.answered) this.#world.fail(`row ${row} is not answered`);
    this.#free.push(slot);
  }

  /** As Caller does it: nobody answers any more once the gate is shut. */
  #check(channel: Channel): void {
    if (this.#stage.pool.gate !== Gate.shut || this.#slots.size === 0 || this.#look(channel) > 0) return;
    if (!this.#books.hopeless) this.#world.fail(`slots ${[...this.#slots]} are never answered`);
    this.#abandoned = true;
    this.#slots.clear();
  }
}
