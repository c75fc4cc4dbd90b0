/**
 * No wake-up is lost: what another thread does is put before every single access of the code under test, and
 * in the end nobody sleeps while there is something to do.
 */

import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { Gate, State } from "../../src/memory/pool.ts";
import { withAtomics } from "../support/atomics.ts";
import { Stage } from "../support/stage.ts";

const ME = 0;
const OTHER = 1;
const ACCESSES_MAX = 500;

interface Play {
  stage: Stage;
  /** Runs the thread under test; throws StuckError if it sleeps with nobody to wake it. */
  run: () => void;
  /** What another thread does, at one moment. */
  other: () => void;
  /** What there is in the end, whenever the other thread did its part. */
  result: () => unknown;
  expected: unknown;
}

/**
 * Plays it with `other` before each access in turn, and at last after all of them. Returns the moments that
 * ended otherwise than expected.
 */
function everywhere(make: () => Play): unknown[] {
  const faults: unknown[] = [];
  for (let at = 0; at < ACCESSES_MAX; at++) {
    const play = make();
    const reached = playWith(play, at);
    const result = play.result();
    if (!isDeepStrictEqual(result, play.expected)) faults.push({ at, result });
    if (!reached) return faults;
  }
  return [...faults, "the code under test never comes to an end"];
}

/** Whether the thread under test got as far as access `at`. */
function playWith(play: Play, at: number): boolean {
  let done = false;
  const other = (): void => {
    if (!done) play.other();
    done = true;
  };
  let reached = false;
  const before = (access: number): void => {
    // Time goes on, so that polling ends.
    play.stage.nowMs += 0.005;
    if (access !== at || done) return;
    reached = true;
    other();
  };
  // Whoever sleeps is woken by what the other thread does, if it has not done it yet.
  withAtomics({ before, onWait: other }, play.run);
  other();
  return reached;
}

describe.each([0, 50])("with a spin of %d us", (spinUs) => {
  const stageOf = (): Stage => new Stage({ spinUs });

  it("a leader finds a request that comes at any moment", () => {
    const faults = everywhere(() => {
      const stage = stageOf();
      const lead = stage.lead();
      return {
        stage,
        run: () => {
          lead.acquire();
          lead.gather(stage.batch);
        },
        other: () => {
          stage.request(1, [5]);
        },
        result: () => stage.rows(),
        expected: ["1:5"],
      };
    });
    expect(faults).toEqual([]);
  });

  it("a leader that sleeps on a batch is told when the last of the others finishes", () => {
    const faults = everywhere(() => {
      const stage = new Stage({ spinUs, batchingTimeoutMs: 1e6 });
      const lead = stage.lead();
      stage.pool.setState(OTHER, State.running);
      stage.request(0, [1]);
      return {
        stage,
        run: () => {
          lead.acquire();
          lead.gather(stage.batch);
        },
        other: () => {
          stage.pool.setState(OTHER, State.idle);
          const { leader } = stage.pool;
          if (leader !== -1 && stage.pool.running() === 0) stage.pool.wake(leader);
        },
        result: () => stage.rows(),
        expected: ["0:1"],
      };
    });
    expect(faults).toEqual([]);
  });

  it("a request that comes while the lead is given up wakes somebody", () => {
    const faults = everywhere(() => {
      const stage = stageOf();
      const lead = stage.lead();
      lead.acquire();
      stage.request(0, [0]);
      lead.gather(stage.batch);
      stage.pool.setState(OTHER, State.parked);
      const seen = stage.pool.wakeSeen(OTHER);
      return {
        stage,
        run: () => lead.give(State.running),
        other: () => stage.request(1, [1]),
        result: () => stage.pool.wakeSeen(OTHER) > seen,
        expected: true,
      };
    });
    expect(faults).toEqual([]);
  });

  it("an instance about to park gets a lead that is given up with work left", () => {
    const faults = everywhere(() => {
      const stage = stageOf();
      const [leader, lead] = [stage.lead(OTHER), stage.lead(ME)];
      leader.acquire();
      stage.request(0, [0, 1, 2, 3, 4]);
      leader.gather(stage.batch);
      return {
        stage,
        run: () => lead.acquire(),
        other: () => leader.give(State.running),
        result: () => stage.pool.leader,
        expected: ME,
      };
    });
    expect(faults).toEqual([]);
  });

  it("an instance about to park gets a lead that nobody has when a request comes", () => {
    const faults = everywhere(() => {
      const stage = stageOf();
      const [leader, lead] = [stage.lead(OTHER), stage.lead(ME)];
      leader.acquire();
      stage.request(0, [0]);
      leader.gather(stage.batch);
      return {
        stage,
        run: () => lead.acquire(),
        other: () => {
          leader.give(State.running);
          stage.request(1, [1]);
        },
        result: () => stage.pool.leader,
        expected: ME,
      };
    });
    expect(faults).toEqual([]);
  });

  it("a closing pipe ends a leader at any moment", () => {
    const faults = everywhere(() => {
      const stage = stageOf();
      const lead = stage.lead();
      let reason = 0;
      return {
        stage,
        run: () => {
          lead.acquire();
          reason = lead.gather(stage.batch);
        },
        other: () => {
          stage.pool.setGate(Gate.draining);
          stage.pool.wakeAll();
        },
        result: () => reason,
        expected: -1,
      };
    });
    expect(faults).toEqual([]);
  });

  it("a dead leader's lead goes to whoever is about to park", () => {
    const faults = everywhere(() => {
      const stage = stageOf();
      const [dead, lead] = [stage.lead(OTHER), stage.lead(ME)];
      dead.acquire();
      stage.request(0, [3]);
      return {
        stage,
        run: () => {
          lead.acquire();
          lead.gather(stage.batch);
        },
        other: () => {
          stage.pool.setState(OTHER, State.dead);
          stage.pool.freeLeadOf(OTHER);
          stage.pool.wakeAll();
        },
        result: () => stage.rows(),
        expected: ["0:3"],
      };
    });
    expect(faults).toEqual([]);
  });
});
