/** Bugs in how an instance's line changes hands: src/memory/pool.ts, src/scheduler. */

import type { Mutant } from "./build.ts";

const line: readonly Mutant[] = [
  {
    name: "whoever is asked for its line is not woken",
    file: "memory/pool.ts",
    from: `    // After the store: it looks again before it sleeps.
    this.wake(instance);`,
    to: "",
  },
  {
    name: "whoever is asked for its line is woken before it is asked",
    file: "memory/pool.ts",
    from: "    atomics.store(this.words, this.#turn(instance), (ticket << 2) | Turn.asked);\n",
    to: `    this.wake(instance);
    atomics.store(this.words, this.#turn(instance), (ticket << 2) | Turn.asked);
    if (instance >= 0) return;
`,
  },
  {
    name: "a line is given with a plain store",
    file: "memory/pool.ts",
    from: "if (atomics.compareExchange(this.words, at, word, given) !== word) return false;",
    to: "atomics.store(this.words, at, given);",
  },
  {
    name: "a line that is given is called off",
    file: "memory/pool.ts",
    from: "if (word === ((ticket << 2) | Turn.given)) return false;",
    to: "",
  },
  {
    name: "nobody wakes a thread that is called off",
    file: "memory/pool.ts",
    from: `word, over) !== word) continue;
      atomics.notify(this.words, at);`,
    to: "word, over) !== word) continue;",
  },
  {
    name: "a thread that wakes late takes the next one's ticket for its own end",
    file: "memory/pool.ts",
    from: "if (word >>> 2 !== ticket || (word & 3) === Turn.given) return true;",
    to: `if (word >>> 2 !== ticket) return false;
      if ((word & 3) === Turn.given) return true;`,
  },
];

const instance: readonly Mutant[] = [
  {
    name: "a line is given while its instance leads",
    file: "scheduler/instance.ts",
    from: "      if (leads) lead.give(State.idle);\n",
    to: "      if (pool.give(me)) return;\n      if (leads) lead.give(State.idle);\n",
  },
  {
    name: "an instance leaves although its line is called off",
    file: "scheduler/instance.ts",
    from: "if (reason === End.closed || pool.give(me)) return;",
    to: "if (pool.give(me) || reason < 0) return;",
  },
  {
    name: "an instance that waits for the lead keeps its line",
    file: "scheduler/lead.ts",
    from: "      if (pool.isAsked(this.#me)) return false;\n",
    to: "",
  },
  {
    name: "a leader that waits keeps its line",
    file: "scheduler/lead.ts",
    from: "      if (this.#pool.isAsked(this.#me)) return End.asked;\n",
    to: "",
  },
];

const owner: readonly Mutant[] = [
  {
    name: "nobody wakes the one whose line was given by a thread that died over it",
    file: "scheduler/succession.ts",
    from: "    this.#pool().tellTurn(instance);\n",
    to: "",
  },
  {
    name: "a reload is over when the first line has changed hands",
    file: "scheduler/succession.ts",
    from: "if (this.#heirs.size === 0) this.#done?.();",
    to: "this.#done?.();",
  },
  {
    name: "a reload does not wait for the threads of the last one",
    file: "scheduler/supervise.ts",
    from: `    await this.left();
    return this.#succession.begin();`,
    to: "    return this.#succession.begin();",
  },
];

export const RELOAD_MUTANTS: readonly Mutant[] = [...line, ...instance, ...owner];
