/** Bugs on the caller's side: waiting for answers, settling, closing, leaving. */

import type { Mutant } from "./build.ts";

export const CALLER_MUTANTS: readonly Mutant[] = [
  {
    name: "a caller on its event loop does not look before it sleeps",
    file: "memory/park.ts",
    from: "if (this.#door.look() > 0) {",
    to: "if (this.#door.inFlight() < 0) {",
  },
  {
    name: "a caller on its event loop reads the bell after it has looked",
    file: "memory/park.ts",
    from: "atomics.waitAsync(control, layout.bell, seen);",
    to: "atomics.waitAsync(control, layout.bell, atomics.load(control, layout.bell) + seen * 0);",
  },
  {
    name: "a caller on its event loop says that it waits after it has looked",
    file: "memory/park.ts",
    from: `    const wait = atomics.waitAsync(control, layout.bell, seen);`,
    to: `    atomics.store(control, layout.waiting, 0);
    if (atomics.load(control, layout.bell) === seen) atomics.store(control, layout.waiting, 1);
    const wait = atomics.waitAsync(control, layout.bell, seen);`,
  },
  {
    name: "a blocked caller reads the bell after it has looked",
    file: "memory/park.ts",
    from: "atomics.wait(control, layout.bell, seen, Math",
    to: "atomics.wait(control, layout.bell, atomics.load(control, layout.bell) + seen * 0, Math",
  },
  {
    name: "a blocked caller sleeps although its look left answers",
    file: "memory/park.ts",
    from: "      if (found > 0) continue;\n",
    to: "",
  },
  {
    name: "a caller does not look at the gate after it has published",
    file: "pipe/caller.ts",
    from: "if (this.#pool.gate === Gate.open) return;",
    to: "if (this.#pool.gate !== Gate.starting) return;",
  },
  {
    name: "a single row is not rung for",
    file: "pipe/caller.ts",
    from: "if (this.#unrung === 0) return;",
    to: "if (this.#unrung <= 1) return;",
  },
  {
    name: "what is left when settling takes long is forgotten",
    file: "pipe/answers.ts",
    from: "this.#channel.markDone(word, bits);",
    to: "",
  },
  {
    name: "a caller believes every done bit",
    file: "pipe/answers.ts",
    from: "    if (phaseOf(word) !== Phase.done) return;\n",
    to: "",
  },
  {
    name: "slots of failed requests are not given back",
    file: "pipe/answers.ts",
    from: "      this.#slots.giveBack(slots[row]);",
    to: "      if (request.error === null) this.#slots.giveBack(slots[row]);",
  },
  {
    name: "rows that run are free as soon as nobody wants them",
    file: "pipe/answers.ts",
    from: "    if (request.left > 0) return;\n",
    to: "",
  },
  {
    name: "rows that are given up count twice",
    file: "pipe/answers.ts",
    from: "if (this.#channel.cancel(slot)) request.left--;",
    to: "if (this.#channel.cancel(slot)) request.left -= 2;",
  },
  {
    name: "a request that is settled is settled again when its rows are done",
    file: "pipe/answers.ts",
    from: "    if (request.settled) return this.#free(request);\n",
    to: "",
  },
  {
    name: "a blocked caller does not wake for its timeout",
    file: "memory/park.ts",
    from: "Math.min(CHECK_MS, leftMs)",
    to: "leftMs === 0 ? 0 : Infinity",
  },
  {
    name: "whoever waits for room is not told that there is some",
    file: "pipe/answers.ts",
    from: "    this.#onFree();\n",
    to: "",
  },
  {
    name: "a slot is given back twice",
    file: "pipe/requests.ts",
    from: "    this.#free[this.#freeCount++] = slot;\n",
    to: `    this.#free[this.#freeCount++] = slot;
    if (slot === 2) this.#free[this.#freeCount++] = slot;
`,
  },
  {
    name: "only one slot of a run is marked as taken",
    file: "pipe/requests.ts",
    from: "this.#freeCount -= rows;",
    to: "this.#freeCount -= 1;",
  },
  {
    name: "a channel's watch ends before the channel is released",
    file: "pipe/attach.ts",
    from: `  if (caller.quarantined === 0) channel.release();
  native.threadUnwatch(watch);`,
    to: `  native.threadUnwatch(watch);
  if (caller.quarantined === 0) channel.release();`,
  },
  {
    name: "a living thread's channel is inherited",
    file: "pipe/attach.ts",
    from: "if (watch === 0 || isAlive(native, watch)) return false;",
    to: "if (watch === 0) return false;",
  },
];
