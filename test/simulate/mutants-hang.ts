/** Bugs in what becomes of calls that hang: watching, giving up, keeping slots, coming back. */

import type { Mutant } from "./build.ts";

export const HANG_MUTANTS: readonly Mutant[] = [
  {
    name: "rows of a hung call are answered as those of a dead thread",
    file: "scheduler/supervise.ts",
    from: "rowsLost += channel.loseTaken(instance);",
    to: "rowsLost += channel.failTaken(instance);",
  },
  {
    name: "rows of a hung call are not told",
    file: "memory/channel.ts",
    from: "      this.markDone(slot >>> 5, 1 << (slot & 31));\n      lost++;",
    to: "      lost++;",
  },
  {
    name: "the slots of a hung call are free as soon as their caller is told",
    file: "pipe/answers.ts",
    from: `if (phaseOf(word) === Phase.lost) return this.#rowLost(slot);
    if (phaseOf(word) !== Phase.done) return;`,
    to: "if (phaseOf(word) !== Phase.done && phaseOf(word) !== Phase.lost) return;",
  },
  {
    name: "a call that comes back does not give its slots back",
    file: "scheduler/instance.ts",
    from: "    for (let row = from; row < batch.rows; row++) {\n      const channel",
    to: "    for (let row = batch.rows; row < batch.rows; row++) {\n      const channel",
  },
  {
    name: "a call that comes back goes on as if nothing had happened",
    file: "scheduler/instance.ts",
    from: "return this.#calls.end() ? answer : null;",
    to: "return this.#calls.end() ? answer : answer;",
  },
  {
    name: "a thread that comes back says that its instance is idle",
    file: "scheduler/instance.ts",
    from: "if (!answers.run(batch, reason)) return;",
    to: "answers.run(batch, reason);",
  },
  {
    name: "a call is given up although it has returned",
    file: "memory/calls.ts",
    from: "(atomics.compareExchange(pool.words, line + InstanceWord.run, word, next) === word) return",
    to: "(atomics.exchange(pool.words, line + InstanceWord.run, next) !== next) return",
  },
  {
    name: "the epoch does not grow, so that a late thread may end its successor's call",
    file: "memory/calls.ts",
    from: "return ((word & ~CALLING) + EPOCH) | 0;",
    to: "return (word & ~CALLING) | 0;",
  },
  {
    name: "an instance looks whether it is watched before it says that it runs",
    file: "memory/calls.ts",
    from: `    atomics.store(words, this.#at, this.#word);
    const sleeps = atomics.load(words, layout.unwatched) !== 0;`,
    to: `    const sleeps = atomics.load(words, layout.unwatched) !== 0;
    atomics.store(words, this.#at, this.#word);`,
  },
  {
    name: "the watchdog gives up at once what it asked to end",
    file: "scheduler/watchdog.ts",
    from: "const untilMs = this.#nowMs() + INTERRUPT_MS;",
    to: "const untilMs = this.#nowMs() + INTERRUPT_MS * 0;",
  },
  {
    name: "calls that begin while another is given its time to end are not watched meanwhile",
    file: "scheduler/watchdog.ts",
    from: "Math.min(dueMs - this.#nowMs(), this.#runTimeoutMs)",
    to: "dueMs - this.#nowMs()",
  },
  {
    name: "a channel is inherited while a hung call has rows of it",
    file: "memory/channel.ts",
    from: "if (phase !== Phase.taken && phase !== Phase.lost) continue;",
    to: "if (phase !== Phase.taken) continue;",
  },
  {
    name: "a channel is released while a hung call has rows of it",
    file: "pipe/attach.ts",
    from: "if (caller.quarantined === 0) channel.release();",
    to: "channel.release();",
  },
  {
    name: "nobody takes the place of a thread that was given up",
    file: "scheduler/supervise.ts",
    from: "    this.#threads.delete(instance);\n    thread.letGo();",
    to: "    thread.letGo();",
  },
];
