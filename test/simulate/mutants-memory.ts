/** Bugs in src/memory: hand-overs of rows, wake-ups, the lead. */

import type { Mutant } from "./build.ts";

const channel: readonly Mutant[] = [
  {
    name: "the tail grows before the slot word says queued",
    file: "memory/channel.ts",
    from: `    atomics.store(control, layout.word + slot, slotWord(Phase.queued, 0, 0, generation));
    const tail = control[layout.tail];`,
    to: `    const tail = control[layout.tail];
    atomics.store(control, layout.tail, (tail + 1) | 0);
    atomics.store(control, layout.word + slot, slotWord(Phase.queued, 0, 0, generation));
    if (tail !== control[layout.tail]) {
      control[layout.ring + (tail & this.#ringMask)] = slot | (generation << 16);
      return;
    }`,
  },
  {
    name: "a slot that is used again keeps its generation",
    file: "memory/channel.ts",
    from: "(generationOf(word) + 1) & GENERATION_MASK",
    to: "generationOf(word) & GENERATION_MASK",
  },
  {
    name: "the ring's mask is one bit short",
    file: "memory/channel.ts",
    from: "this.#ringMask = this.layout.ringEntries - 1;",
    to: "this.#ringMask = this.layout.ringEntries / 2 - 1;",
  },
  {
    name: "the ring's room is compared without wrapping",
    file: "memory/channel.ts",
    from: "(atomics.load(control, layout.tail) - atomics.load(control, layout.head)) | 0;",
    to: "Math.abs(atomics.load(control, layout.tail) - atomics.load(control, layout.head));",
  },
  {
    name: "a row is given up with a plain store",
    file: "memory/channel.ts",
    from: "return atomics.compareExchange(this.control, at, word, free) === word;",
    to: "return atomics.store(this.control, at, free) === free;",
  },
  {
    name: "done bits are read and cleared in two steps",
    file: "memory/channel.ts",
    from: "return atomics.load(this.control, at) === 0 ? 0 : atomics.exchange(this.control, at, 0);",
    to: `const bits = atomics.load(this.control, at);
    atomics.store(this.control, at, 0);
    return bits;`,
  },
  {
    name: "done bits are stored over each other",
    file: "memory/channel.ts",
    from: "atomics.or(this.control, this.layout.done + word, bits);",
    to: "atomics.store(this.control, this.layout.done + word, bits);",
  },
  {
    name: "the bell grows before waiting is cleared",
    file: "memory/channel.ts",
    from: `atomics.exchange(control, waiting, 0) !== 0;
    atomics.add(control, bell, 1);`,
    to: `(atomics.add(control, bell, 1), atomics.exchange(control, waiting, 0)) !== 0;
    if (!waits) atomics.add(control, bell, 1);`,
  },
  {
    name: "the caller is notified before its bell grows",
    file: "memory/channel.ts",
    from: `    atomics.add(control, bell, 1);
    if (waits) atomics.notify(control, bell);`,
    to: `    if (waits) atomics.notify(control, bell);
    atomics.add(control, bell, 1);`,
  },
  {
    name: "rows that a dead instance answered are not told again",
    file: "memory/channel.ts",
    from: "} else if (phaseOf(word) !== Phase.done) continue;",
    to: "} else continue;",
  },
  {
    name: "the supervisor believes what the dead left in waiting",
    file: "memory/channel.ts",
    from: "if (done > 0) this.wakeCaller();",
    to: "if (done > 0) this.ringCaller();",
  },
  {
    name: "a dead instance's rows are answered without done bits",
    file: "memory/channel.ts",
    from: "      this.markDone(slot >>> 5, 1 << (slot & 31));\n      done++;",
    to: "      done++;",
  },
  {
    name: "a channel is inherited while instances have rows of it",
    file: "memory/channel.ts",
    from: "if (phase !== Phase.taken && phase !== Phase.lost) continue;",
    to: "if (slot >= 0) continue;",
  },
];

const pool: readonly Mutant[] = [
  {
    name: "the lead is read before the pending bit is set",
    file: "memory/pool.ts",
    from: `    atomics.or(this.words, this.layout.pending + (channel >>> 5), 1 << (channel & 31));
    const leader = atomics.load(this.words, this.layout.lead);`,
    to: `    const leader = atomics.load(this.words, this.layout.lead);
    atomics.or(this.words, this.layout.pending + (channel >>> 5), 1 << (channel & 31));`,
  },
  {
    name: "an instance is woken before its wake word grows",
    file: "memory/pool.ts",
    from: `    atomics.add(this.words, at, 1);
    if (this.state(instance) === State.parked) atomics.notify(this.words, at);`,
    to: `    if (this.state(instance) === State.parked) atomics.notify(this.words, at);
    atomics.add(this.words, at, 1);`,
  },
  {
    name: "a wake word does not grow",
    file: "memory/pool.ts",
    from: "    atomics.add(this.words, at, 1);\n",
    to: "",
  },
  {
    name: "a caller wakes nobody when nobody leads",
    file: "memory/pool.ts",
    from: "    else this.wakeParked();\n",
    to: "",
  },
  {
    name: "the lead is taken with a load and a store",
    file: "memory/pool.ts",
    from: "return atomics.compareExchange(this.words, this.layout.lead, 0, instance + 1) === 0;",
    to: `if (atomics.load(this.words, this.layout.lead) !== 0) return false;
    atomics.store(this.words, this.layout.lead, instance + 1);
    return true;`,
  },
  {
    name: "pending bits are read and cleared in two steps",
    file: "memory/pool.ts",
    from: "return atomics.exchange(this.words, this.layout.pending + word, 0);",
    to: `const bits = this.pendingBits(word);
    atomics.store(this.words, this.layout.pending + word, 0);
    return bits;`,
  },
  {
    name: "a dead leader's lists are trusted",
    file: "memory/pool.ts",
    from: "if (this.leader === dead) this.askRebuild();",
    to: "",
  },
  {
    name: "a dead leader's lead is not freed",
    file: "memory/pool.ts",
    from: "    atomics.compareExchange(this.words, this.layout.lead, dead + 1, 0);\n",
    to: "",
  },
  {
    name: "parked instances count as running",
    file: "memory/pool.ts",
    from: "if (this.state(i) === State.running) running++;",
    to: "if (this.state(i) >= State.running) running++;",
  },
];

export const MEMORY_MUTANTS: readonly Mutant[] = [...channel, ...pool];
