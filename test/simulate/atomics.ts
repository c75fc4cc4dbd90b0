/** The control words under simulation: every access may let another thread go on, and is checked. */

import type { AtomicWords, Words } from "../../src/memory/atomics.ts";
import type { Oracle } from "./oracle.ts";
import type { World } from "./world.ts";
import { WordNames } from "./words.ts";

/** Who is told when a pending waitAsync is woken. */
export interface AsyncWaits {
  onFired(callback: () => void): void;
}

export class SimulatedAtomics implements AtomicWords {
  readonly #world: World;
  readonly #names: WordNames;
  readonly #oracle: Oracle;
  readonly #waits: AsyncWaits;

  constructor(world: World, names: WordNames, oracle: Oracle, waits: AsyncWaits) {
    this.#world = world;
    this.#names = names;
    this.#oracle = oracle;
    this.#waits = waits;
  }

  load(words: Words, index: number): number {
    const value = this.#reach(words, index);
    if (this.#world.tracing) this.#trace("load", words, index, value, value);
    return value;
  }

  store(words: Words, index: number, value: number): number {
    this.#write("store", words, index, this.#reach(words, index), value);
    return value;
  }

  add(words: Words, index: number, value: number): number {
    const before = this.#reach(words, index);
    this.#write("add", words, index, before, (before + value) | 0);
    return before;
  }

  or(words: Words, index: number, value: number): number {
    const before = this.#reach(words, index);
    this.#write("or", words, index, before, before | value);
    return before;
  }

  exchange(words: Words, index: number, value: number): number {
    const before = this.#reach(words, index);
    this.#write("exchange", words, index, before, value);
    return before;
  }

  compareExchange(words: Words, index: number, expected: number, value: number): number {
    const before = this.#reach(words, index);
    if (before === expected) this.#write("cas", words, index, before, value);
    else if (this.#world.tracing) this.#trace("cas failed", words, index, before, before);
    return before;
  }

  wait(
    words: Words,
    index: number,
    value: number,
    timeoutMs: number = Infinity,
  ): "ok" | "not-equal" | "timed-out" {
    const world = this.#world;
    const before = this.#reach(words, index);
    if (world.tracing)
      this.#trace(before === value ? "wait" : "wait (not equal)", words, index, value, before);
    if (before !== value) return "not-equal";
    const woken = world.block(world.nowMs + timeoutMs, this.#key(words, index));
    if (world.tracing) this.#trace(woken ? "woken" : "timed out", words, index, value, words[index]);
    return woken ? "ok" : "timed-out";
  }

  waitAsync(
    words: Words,
    index: number,
    value: number,
  ): { async: false; value: "not-equal" } | { async: true; value: Promise<"ok"> } {
    const before = this.#reach(words, index);
    if (this.#world.tracing) this.#trace("waitAsync", words, index, value, before);
    if (before !== value) return { async: false, value: "not-equal" };
    if (!this.#world.threads.armAsync(this.#key(words, index)))
      this.#world.fail("two waitAsync of one caller are pending");
    const fired = new Promise<"ok">((resolve) => this.#waits.onFired(() => resolve("ok")));
    return { async: true, value: fired };
  }

  notify(words: Words, index: number): number {
    const value = this.#reach(words, index);
    if (this.#world.tracing) this.#trace("notify", words, index, value, value);
    return this.#world.threads.wakeAll(this.#key(words, index));
  }

  /** The access's own moment: what is read here is what the word holds when it is this thread's turn. */
  #reach(words: Words, index: number): number {
    this.#world.pause();
    const value = words[index];
    this.#world.digest(index, value);
    return value;
  }

  #write(operation: string, words: Words, index: number, before: number, after: number): void {
    if (this.#world.tracing) this.#trace(operation, words, index, before, after);
    this.#oracle.write(this.#names.bufferOf(words), index, before, after);
    words[index] = after;
    this.#world.progress();
  }

  #key(words: Words, index: number): number {
    return WordNames.key(this.#names.bufferOf(words), index);
  }

  #trace(operation: string, words: Words, index: number, before: number, after: number): void {
    const buffer = this.#names.bufferOf(words);
    const shown = (value: number): string => this.#names.show(buffer, index, value);
    const values = before === after ? shown(after) : `${shown(before)} -> ${shown(after)}`;
    const what = `${operation} ${this.#names.name(buffer, index)} ${values}`;
    this.#world.trace(`${this.#oracle.role.padEnd(10)} ${what.padEnd(52)} ${site()}`);
  }
}

/** Where in the code under test an access stands, innermost first. */
function site(): string {
  const frames = (new Error("here").stack ?? "").split("\n").slice(1);
  const own = frames.filter((frame) => frame.includes("/src/"));
  const names = own.map((frame) => /at (?:async )?(?:get |set )?(\S+) \(/.exec(frame)?.[1] ?? "");
  return names
    .filter((name) => name !== "")
    .slice(0, 3)
    .join(" < ");
}
