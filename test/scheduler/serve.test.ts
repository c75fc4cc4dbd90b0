/** An instance's whole loop on this thread: what it runs, what it answers to whom, what it counts. */

import { beforeEach, describe, expect, it } from "vitest";
import type { Channel } from "../../src/memory/channel.ts";
import { CounterF64, CounterWord } from "../../src/memory/layout.ts";
import { Gate, State } from "../../src/memory/pool.ts";
import { Outcome, Phase, outcomeOf, phaseOf } from "../../src/memory/slot.ts";
import { Reason } from "../../src/scheduler/decide.ts";
import { serve } from "../../src/scheduler/instance.ts";
import type { RunOutcome } from "../../src/scheduler/instance.ts";
import { rowsOf } from "../support/memory.ts";
import { withAtomics } from "../support/atomics.ts";
import { Stage } from "../support/stage.ts";

const ME = 0;
const SUCCESS: RunOutcome = { outcome: Outcome.ok, text: "", rows: null, retryable: false };
const failure = (retryable: boolean, text = "the engine says no"): RunOutcome => ({
  outcome: 9,
  text,
  rows: null,
  retryable,
});

let stage: Stage;
/** Each run as its rows, in the order of the runs. */
let runs: string[];
/** What an instance that has nothing to do waits for: one step after the other, then the pipe closes. */
let steps: (() => void)[];

beforeEach(() => {
  stage = new Stage({ shape: { slots: 70 }, batchingTimeoutMs: 0 });
  runs = [];
  steps = [];
});

function serveAll(answer: (rows: string[]) => RunOutcome = () => SUCCESS): void {
  const { pool, channels } = stage;
  const close = (): void => {
    pool.setGate(Gate.draining);
    pool.wakeAll();
  };
  withAtomics({ onWait: () => (steps.shift() ?? close)() }, () =>
    serve({
      pool,
      channels,
      me: ME,
      limits: { maxRows: pool.shape.maxRows, batchingTimeoutMs: 0 },
      spinUs: 0,
      nowMs: () => stage.nowMs,
      execute: (batch, from, rows) => {
        stage.nowMs += 2;
        const ran = rowsOf(batch).slice(from, from + rows);
        runs.push(ran.join(" "));
        return answer(ran);
      },
      discard: () => {},
      wakeWatchdog: () => {},
    }),
  );
}

/** Slots of a channel that are done, with their outcomes; takes their bits. */
function doneOf(channel: Channel): Record<number, number> {
  const done: Record<number, number> = {};
  for (let word = 0; word < channel.layout.doneWords; word++) {
    const bits = channel.takeDone(word);
    for (let bit = 0; bit < 32; bit++) {
      if (((bits >>> bit) & 1) === 0) continue;
      const slot = word * 32 + bit;
      expect(phaseOf(channel.wordOf(slot))).toBe(Phase.done);
      done[slot] = outcomeOf(channel.wordOf(slot));
    }
  }
  return done;
}

function counter(word: number): number {
  return stage.pool.words[stage.pool.counters(ME) + word];
}

describe("an instance", () => {
  it("answers everybody, in batches of at most the largest size", () => {
    steps = [() => stage.request(0, [0, 31, 32, 33, 69]), () => stage.request(1, [1])];
    serveAll();
    expect(runs).toEqual(["0:0 0:31 0:32 0:33", "0:69", "1:1"]);
    expect(doneOf(stage.channels[0])).toEqual({ 0: 0, 31: 0, 32: 0, 33: 0, 69: 0 });
    expect(doneOf(stage.channels[1])).toEqual({ 1: 0 });
    expect(stage.pool.leader).toBe(-1);
  });

  it("joins the callers' rows and rings each of them once they are done", () => {
    steps = [
      () => {
        stage.request(0, [3]);
        stage.request(1, [4]);
      },
    ];
    serveAll();
    expect(runs).toHaveLength(1);
    for (const [index, slot] of [3, 4].entries()) {
      expect(doneOf(stage.channels[index])).toEqual({ [slot]: 0 });
      expect(stage.channels[index].control[stage.channels[index].layout.bell]).toBeGreaterThan(0);
    }
  });

  it("rings nobody who has no row in the batch", () => {
    steps = [() => stage.request(0, [3])];
    serveAll();
    expect(stage.channels[1].control[stage.channels[1].layout.bell]).toBe(0);
  });

  it("runs what waits when the pipe closes, then ends", () => {
    steps = [
      () => {
        stage.request(0, [0, 1, 2, 3, 4]);
        stage.pool.setGate(Gate.draining);
      },
    ];
    serveAll();
    expect(runs).toEqual(["0:0 0:1 0:2 0:3", "0:4"]);
  });

  it("runs nothing any more once the gate is shut", () => {
    steps = [
      () => {
        stage.request(0, [0]);
        stage.pool.setGate(Gate.shut);
        stage.pool.wakeAll();
      },
    ];
    serveAll();
    expect(runs).toEqual([]);
  });

  it("wakes the next instance when it ends", () => {
    stage.pool.setState(1, State.parked);
    serveAll();
    expect(stage.pool.wakeSeen(1)).toBeGreaterThan(1);
  });
});

describe("a batch that fails as a whole", () => {
  const request = (): void => stage.request(0, [0, 1, 2]);

  it("is run again row by row, so that one bad row does not fail its mates", () => {
    steps = [request];
    serveAll((rows) => (rows.includes("0:1") ? failure(true) : SUCCESS));
    expect(runs).toEqual(["0:0 0:1 0:2", "0:0", "0:1", "0:2"]);
    expect(doneOf(stage.channels[0])).toEqual({ 0: Outcome.ok, 1: 9, 2: Outcome.ok });
    expect(stage.channels[0].texts.read(1)).toBe("the engine says no");
    expect(counter(CounterWord.reruns)).toBe(3);
  });

  it("is not run again when the failure is not one row's", () => {
    steps = [request];
    serveAll(() => failure(false));
    expect(runs).toHaveLength(1);
    expect(doneOf(stage.channels[0])).toEqual({ 0: 9, 1: 9, 2: 9 });
    expect(counter(CounterWord.reruns)).toBe(0);
  });

  it("of one row is not run again", () => {
    steps = [() => stage.request(0, [5])];
    serveAll(() => failure(true));
    expect(runs).toHaveLength(1);
    expect(doneOf(stage.channels[0])).toEqual({ 5: 9 });
  });

  it("fails each row with its own text", () => {
    steps = [request];
    serveAll((rows) => failure(true, `failed ${rows.join()}`));
    const texts = [0, 1, 2].map((slot) => stage.channels[0].texts.read(slot));
    expect(texts).toEqual(["failed 0:0", "failed 0:1", "failed 0:2"]);
  });
});

describe("a batch whose rows have different fates", () => {
  it("tells each row its own", () => {
    steps = [() => stage.request(0, [0, 1, 2])];
    serveAll(() => ({ outcome: 10, text: "row 1", rows: Int32Array.of(0, 9, 0), retryable: false }));
    expect(runs).toHaveLength(1);
    expect(doneOf(stage.channels[0])).toEqual({ 0: 0, 1: 9, 2: 0 });
  });
});

describe("rows that were answered in the meantime", () => {
  it("are counted, and their slots are left alone", () => {
    steps = [() => stage.request(0, [0, 1])];
    serveAll(() => {
      expect(stage.channels[0].failTaken(ME)).toBe(2);
      stage.channels[0].recycle(0, stage.channels[0].wordOf(0));
      return SUCCESS;
    });
    expect(counter(CounterWord.stale)).toBe(2);
    expect(phaseOf(stage.channels[0].wordOf(0))).toBe(Phase.free);
    expect(outcomeOf(stage.channels[0].wordOf(1))).toBe(Outcome.instanceLost);
  });
});

describe("the counters", () => {
  it("add up: batches, rows, sizes by reason, waits and runs", () => {
    steps = [
      () => {
        stage.request(0, [0, 1, 2, 3, 4]);
        stage.nowMs += 3;
      },
      () => stage.request(1, [9]),
    ];
    serveAll();
    const at = (reason: number, rows: number): number =>
      counter(CounterWord.sizes + reason * (stage.pool.shape.maxRows + 1) + rows);
    expect([counter(CounterWord.batches), counter(CounterWord.rows)]).toEqual([3, 6]);
    expect([at(Reason.full, 4), at(Reason.idle, 1), at(Reason.idle, 4)]).toEqual([1, 2, 0]);
    const sums = stage.pool.sums(ME);
    // Four rows waited 3 ms, the fifth 2 ms longer for their run, the last one not at all.
    expect(sums[CounterF64.waitMs]).toBeCloseTo(4 * 3 + 5, 6);
    expect(sums[CounterF64.runMs]).toBeCloseTo(3 * 2, 6);
  });

  it("are there before the caller is told", () => {
    const { channels } = stage;
    let counted = -1;
    steps = [() => stage.request(0, [0])];
    const ring = channels[0].ringCaller.bind(channels[0]);
    channels[0].ringCaller = () => {
      counted = counter(CounterWord.rows);
      ring();
    };
    serveAll();
    expect(counted).toBe(1);
  });
});
