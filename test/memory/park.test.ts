/** How a caller waits: an answer that comes at any moment is found, and nobody waits for what is settled. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Channel } from "../../src/memory/channel.ts";
import { Doorbell } from "../../src/memory/park.ts";
import { Spin } from "../../src/memory/spin.ts";
import { StuckError, withAtomics, withAtomicsAsync } from "../support/atomics.ts";
import { makeChannel } from "../support/memory.ts";

const DEADLINE_MS = 1000;

/** A caller that is interested in done bits only; `inFlight` is how many it still expects. */
class Caller {
  readonly channel: Channel = makeChannel({ slots: 64 });
  readonly bell: Doorbell;
  inFlight = 0;
  looks = 0;
  checks = 0;
  /** Words of done bits that one look takes at most. */
  wordsPerLook = 2;
  #waiting: (() => void) | null = null;

  constructor(spinUs: number, nowMs: () => number = () => performance.now()) {
    this.bell = new Doorbell(this.channel, new Spin(spinUs), nowMs, {
      look: () => this.#look(),
      check: () => this.checks++,
      inFlight: () => this.inFlight,
      nearestMs: () => Infinity,
    });
  }

  /** An instance answers these slots. */
  answer(...slots: number[]): void {
    for (const slot of slots) this.channel.markDone(slot >>> 5, 1 << (slot & 31));
    this.channel.ringCaller();
  }

  /** Resolves with true when nothing is in flight, with false after DEADLINE_MS. */
  async settled(): Promise<boolean> {
    if (this.inFlight === 0) return true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), DEADLINE_MS);
      this.#waiting = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  #look(): number {
    this.looks++;
    let found = 0;
    for (let word = 1, left = this.wordsPerLook; word >= 0 && left > 0; word--) {
      let bits = this.channel.takeDone(word);
      if (bits !== 0) left--;
      for (; bits !== 0; bits &= bits - 1) found++;
    }
    this.inFlight -= found;
    if (found > 0 && this.inFlight === 0) this.#waiting?.();
    return found;
  }
}

let caller: Caller;
afterEach(() => caller.bell.dismiss());

describe.each([0, 200])("with a spin of %d us", (spinUs) => {
  beforeEach(() => {
    caller = new Caller(spinUs);
  });

  it("finds an answer that came before it waited", async () => {
    caller.inFlight = 1;
    caller.answer(3);
    caller.bell.arm();
    expect(await caller.settled()).toBe(true);
  });

  it("finds an answer that comes while it sleeps", async () => {
    caller.inFlight = 1;
    caller.bell.arm();
    await new Promise((resolve) => setTimeout(resolve, 20));
    caller.answer(3);
    expect(await caller.settled()).toBe(true);
  });

  it("waits on for the rest after each answer", async () => {
    caller.inFlight = 40;
    caller.bell.arm();
    for (let slot = 0; slot < 40; slot++) {
      caller.answer(slot);
      if (slot % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(await caller.settled()).toBe(true);
  });

  it("comes back for what one look leaves", async () => {
    caller.wordsPerLook = 1;
    caller.inFlight = 3;
    caller.answer(1, 33, 34);
    caller.bell.arm();
    expect(await caller.settled()).toBe(true);
  });

  it("can be armed again after everything was answered", async () => {
    for (let round = 0; round < 3; round++) {
      caller.inFlight = 1;
      caller.bell.arm();
      setTimeout(() => caller.answer(round), 2);
      expect(await caller.settled()).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });

  it("loses no answer, whichever access it comes before", async () => {
    for (let at = 0; ; at++) {
      caller.bell.dismiss();
      // A clock that each reading moves on: it polls a few times, on a machine of any speed.
      let clockMs = 0;
      caller = new Caller(spinUs, () => (clockMs += 0.05));
      let answered = false;
      const before = (access: number): void => {
        if (access !== at) return;
        answered = true;
        caller.answer(3);
      };
      await withAtomicsAsync({ before }, async () => {
        caller.inFlight = 1;
        caller.bell.arm();
        const finished = caller.settled();
        // Long enough to go to sleep; then the answer comes at last, so that the test ends.
        await new Promise((resolve) => setTimeout(resolve, answered ? 0 : 5));
        if (!answered) caller.answer(3);
        expect({ at, finished: await finished }).toEqual({ at, finished: true });
      });
      if (!answered) break;
      expect(at).toBeLessThan(2000);
    }
  });
});

describe("a caller with nothing in flight", () => {
  it("does not look at all", async () => {
    caller = new Caller(0);
    caller.bell.arm();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(caller.looks).toBe(0);
  });
});

describe("block", () => {
  beforeEach(() => {
    caller = new Caller(0);
    caller.inFlight = 1;
  });

  it("ends with the answer, whichever access it comes before", () => {
    for (let at = 0; at < 6; at++) {
      caller = new Caller(0);
      caller.inFlight = 1;
      let answered = false;
      const answer = (): void => {
        if (!answered) caller.answer(3);
        answered = true;
      };
      const before = (access: number): void => (access === at ? answer() : undefined);
      withAtomics({ before, onWait: answer }, () => caller.bell.block(() => caller.inFlight === 0));
      expect(caller.inFlight).toBe(0);
      caller.bell.dismiss();
    }
  });

  it("does not sleep while answers lie ready that one look left", () => {
    caller.wordsPerLook = 1;
    caller.inFlight = 2;
    caller.answer(1, 33);
    const onWait = (): void => {
      throw new StuckError("Nobody rings for these again");
    };
    withAtomics({ onWait }, () => caller.bell.block(() => caller.inFlight === 0));
    expect(caller.inFlight).toBe(0);
  });

  it("sleeps when there is nothing to be found, and now and then checks whether anybody is left", () => {
    let sleeps = 0;
    const onWait = (timeoutMs: number): void => {
      expect(timeoutMs).toBeLessThanOrEqual(1000);
      if (++sleeps > 3) throw new StuckError("Nobody answers");
    };
    const wait = (): unknown => withAtomics({ onWait }, () => caller.bell.block(() => caller.inFlight === 0));
    expect(wait).toThrow(StuckError);
    expect(caller.checks).toBe(3);
  });
});
