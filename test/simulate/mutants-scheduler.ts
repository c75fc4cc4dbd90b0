/** Bugs in src/scheduler: the order of looking and sleeping, batches, lists, deaths. */

import type { Mutant } from "./build.ts";

const lead: readonly Mutant[] = [
  {
    name: "an instance does not try again after saying that it is parked",
    file: "scheduler/lead.ts",
    from: `      // parked.
      if (pool.tryLead(this.#me)) break;`,
    to: "",
  },
  {
    name: "an instance reads its wake word just before it sleeps",
    file: "scheduler/lead.ts",
    from: "pool.sleep(this.#me, seen, Infinity);",
    to: "pool.sleep(this.#me, pool.wakeSeen(this.#me), Infinity);",
  },
  {
    name: "a leader reads its wake word after it has looked",
    file: "scheduler/lead.ts",
    from: "this.#wait(seen, decision.waitMs);",
    to: "this.#wait(this.#pool.wakeSeen(this.#me), decision.waitMs);",
  },
  {
    name: "a leader sleeps beyond the batching timeout",
    file: "scheduler/lead.ts",
    from: "pool.sleep(this.#me, seen, waitMs - budgetMs);",
    to: "pool.sleep(this.#me, seen, Infinity);",
  },
  {
    name: "whoever gives the lead up does not look at the pending bits",
    file: "scheduler/lead.ts",
    from: "if (more || this.#pool.hasPending() || this.#pool.gate !== Gate.open) this.#pool.wakeParked();",
    to: "if (more) this.#pool.wakeParked();",
  },
  {
    name: "whoever gives the lead up wakes nobody for the rows that are left",
    file: "scheduler/lead.ts",
    from: "if (more || this.#pool.hasPending() ||",
    to: "if (this.#pool.hasPending() ||",
  },
  {
    name: "the pending bits are looked at before the lead is given up",
    file: "scheduler/lead.ts",
    from: `    this.#pool.dropLead();
    // After the store: see the head of this file.
    if (more || this.#pool.hasPending() ||`,
    to: `    const pending = this.#pool.hasPending();
    this.#pool.dropLead();
    if (more || pending ||`,
  },
  {
    name: "an instance says that it runs after it has given the lead up",
    file: "scheduler/lead.ts",
    from: `    this.#pool.dropLead();
`,
    to: `    this.#pool.setState(this.#me, State.leading);
    this.#pool.dropLead();
    this.#pool.setState(this.#me, state);
`,
  },
  {
    name: "pending bits are cleared after the rings were read",
    file: "scheduler/lead.ts",
    from: `      let bits = this.#pool.takePending(word);
      while (bits !== 0) {`,
    to: `      let bits = this.#pool.pendingBits(word);
      this.#queue.drain(this.#channels);
      this.#pool.takePending(word);
      bits = 0;
      while (bits !== 0) {`,
  },
  {
    name: "rows without a list are forgotten with the lead",
    file: "scheduler/lead.ts",
    from: "for (const channel of this.#blocked) this.#setPending(channel);",
    to: "",
  },
  {
    name: "a leader that drains looks only where somebody rang",
    file: "scheduler/lead.ts",
    from: "if (draining) this.#lookAtAll();\n      else this.#look();",
    to: "this.#look();",
  },
];

const instance: readonly Mutant[] = [
  {
    name: "the done bit is set before the row is done",
    file: "scheduler/instance.ts",
    from: "      if (channel.complete(slot,",
    to: "      channel.markDone(slot >>> 5, 1 << (slot & 31));\n      if (channel.complete(slot,",
  },
  {
    name: "the last one to finish does not wake the leader",
    file: "scheduler/instance.ts",
    from: "if (leader !== -1 && pool.running() === 0) pool.wake(leader);",
    to: "",
  },
  {
    name: "an instance looks for a leader before it says that it is idle",
    file: "scheduler/instance.ts",
    from: `    pool.setState(me, State.idle);
    // The rule \`idle\` has come true for whoever leads now, if nobody else runs.
    const leader = pool.leader;
    if (leader !== -1 && pool.running() === 0) pool.wake(leader);`,
    to: `    const leader = pool.leader;
    if (leader !== -1 && pool.running() === 1) pool.wake(leader);
    pool.setState(me, State.idle);`,
  },
  {
    name: "only the last caller of a batch is rung",
    file: "scheduler/instance.ts",
    from: "if (next !== channel) channel.ringCaller();",
    to: "",
  },
  {
    name: "done bits of different words are mixed up",
    file: "scheduler/instance.ts",
    from: "if (next !== channel || slot >>> 5 !== bitWord) {",
    to: "if (next !== channel) {",
  },
  {
    name: "a row that runs again is answered in the first row's place",
    file: "scheduler/instance.ts",
    from: "this.#settle(batch, row, 1, answer);",
    to: "this.#settle(batch, 0, 1, answer);",
  },
  {
    name: "one bad row fails its mates",
    file: "scheduler/instance.ts",
    from: "answer.retryable && batch.rows > 1",
    to: "answer.retryable && batch.rows > 64",
  },
];

const queue: readonly Mutant[] = [
  {
    name: "a row is taken with a plain store",
    file: "scheduler/queue.ts",
    from: "if (atomics.compareExchange(channel.control, word, queued, taken) !== queued) continue;",
    to: "atomics.store(channel.control, word, taken + queued * 0);",
  },
  {
    name: "a batch has one row too many",
    file: "scheduler/queue.ts",
    from: "while (rows < maxRows) {",
    to: "while (rows <= maxRows) {",
  },
  {
    name: "unlinked rows are still counted",
    file: "scheduler/lists.ts",
    from: "    this.#words[at + ListWord.count]--;\n",
    to: "",
  },
  {
    name: "rows join lists of other shapes",
    file: "scheduler/lists.ts",
    from: "if (control[dims + d] !== this.#words[groupDims + d]) return false;",
    to: "if (control[dims + d] < this.#words[groupDims + d]) return false;",
  },
  {
    name: "rebuilt lists have the slots' order",
    file: "scheduler/queue.ts",
    from: "    rows.sort((a, b) => a.channel.entered[a.slot] - b.channel.entered[b.slot]);\n",
    to: "",
  },
  {
    name: "rebuilt lists lack what was published meanwhile",
    file: "scheduler/queue.ts",
    from: "add(entry & 0xffff, entry >>> 16);",
    to: "if (rows.has(entry & 0xffff)) add(entry & 0xffff, entry >>> 16);",
  },
  {
    name: "rows without a list go back into the ring in reverse",
    file: "scheduler/queue.ts",
    from: "left.toReversed()",
    to: "left",
  },
  {
    name: "a ring that stopped at a shape without a list goes on behind it",
    file: "scheduler/queue.ts",
    from: "        this.#tails[index] = this.#heads[index];\n",
    to: "        this.#heads[index]++;\n",
  },
];

const wishes: readonly Mutant[] = [
  {
    name: "rows of low priority go first",
    file: "scheduler/queue.ts",
    from: "for (let priority = 0; priority < PRIORITIES; priority++) {\n      const head",
    to: "for (let priority = PRIORITIES - 1; priority >= 0; priority--) {\n      const head",
  },
  {
    name: "a list that is empty again is not filled again",
    file: "scheduler/lead.ts",
    from: "      this.#look();\n    }\n  }",
    to: "      this.#look();\n      return this.#queue.waiting(nowMs);\n    }\n  }",
  },
  {
    name: "a row's deadline is compared the wrong way round",
    file: "memory/channel.ts",
    from: "return deadlineMs !== 0 && deadlineMs <= nowMs;",
    to: "return deadlineMs !== 0 && deadlineMs >= nowMs;",
  },
  {
    name: "a row that is over is answered although its caller gave it up",
    file: "memory/channel.ts",
    from: "if (atomics.compareExchange(this.control, at, queued, done) !== queued) return false;",
    to: "if (atomics.load(this.control, at) === queued) atomics.store(this.control, at, done);",
  },
  {
    name: "a row that is over is answered without a done bit",
    file: "memory/channel.ts",
    from: "    this.markDone(slot >>> 5, 1 << (slot & 31));\n    this.ringCaller();",
    to: "    this.ringCaller();",
  },
  {
    name: "nobody is rung for a row that is over",
    file: "memory/channel.ts",
    from: "    this.markDone(slot >>> 5, 1 << (slot & 31));\n    this.ringCaller();",
    to: "    this.markDone(slot >>> 5, 1 << (slot & 31));",
  },
];

const decide: readonly Mutant[] = [
  {
    name: "a full batch waits for one more row",
    file: "scheduler/decide.ts",
    from: "rows >= limits.maxRows",
    to: "rows > limits.maxRows",
  },
  {
    name: "idle means at most one that runs",
    file: "scheduler/decide.ts",
    from: "running === 0",
    to: "running <= 1",
  },
  {
    name: "the timeout comes early",
    file: "scheduler/decide.ts",
    from: "leftMs <= 0",
    to: "leftMs <= 0.9",
  },
  {
    name: "a pipe that drains waits for full batches",
    file: "scheduler/decide.ts",
    from: "else if (draining) reason = Reason.drain;\n",
    to: "",
  },
];

const supervise: readonly Mutant[] = [
  {
    name: "a dead instance's rows are not answered",
    file: "scheduler/supervise.ts",
    from: "rowsLost += channel.failTaken(instance);",
    to: "rowsLost += channel.index;",
  },
  {
    name: "nobody is woken after a death",
    file: "scheduler/supervise.ts",
    from: "else rowsLost = this.#bury(pool, instance);\n    pool.wakeAll();",
    to: "else rowsLost = this.#bury(pool, instance);",
  },
  {
    name: "a dead instance still counts as running",
    file: "scheduler/supervise.ts",
    from: "    pool.setState(instance, State.dead);\n",
    to: "",
  },
  {
    name: "an instance that is dead at close() is not replaced",
    file: "scheduler/supervise.ts",
    from: `      clearTimeout(timer);
      this.#respawn(instance);`,
    to: "      clearTimeout(timer);",
  },
];

export const SCHEDULER_MUTANTS: readonly Mutant[] = [
  ...lead,
  ...instance,
  ...queue,
  ...wishes,
  ...decide,
  ...supervise,
];
