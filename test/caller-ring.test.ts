/** When a caller rings: once a turn or a round, and earlier where copying its rows takes long. */

import { setImmediate as nextRound } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { Channel, createChannelBuffers } from "../src/memory/channel.ts";
import { Gate, Pool, State } from "../src/memory/pool.ts";
import { Caller } from "../src/pipe/caller.ts";
import { parseConfig } from "../src/pipe/config.ts";
import type { NativeResults } from "../src/pipe/result.ts";
import { memoryShape, modelSpec } from "../src/pipe/spec.ts";

const results = {
  copyIn: (to, at, from) => to.set(from, at),
  resultCopy: () => 0,
  resultRelease: () => {},
  lastError: () => "",
} as Partial<NativeResults> as NativeResults;

/** A pipe of one sleeping instance that leads; nobody is behind it. */
class Stage {
  readonly pool: Pool;
  readonly caller: Caller;
  readonly data: Float32Array;

  constructor(elements: number, spinUs = 100) {
    const tensor = { dtype: 1, shape: [elements] };
    const description = {
      backend: "Identity",
      engine: "e",
      library: "",
      batch: "dynamic",
      batch_size: 1,
      inputs: [{ name: "x", ...tensor }],
      outputs: [{ name: "y", ...tensor }],
    };
    const config = parseConfig({ model: "m", max: 4, max_queue: 32, max_callers: 1 });
    const spec = modelSpec(description, config);
    const shape = memoryShape(spec, config);
    this.pool = new Pool(shape);
    const channel = new Channel(0, shape, createChannelBuffers(shape));
    const nowMs = (): number => performance.now();
    this.data = new Float32Array(elements);
    this.pool.tryLead(0);
    this.pool.setState(0, State.parked);
    this.pool.setGate(Gate.open);
    this.caller = new Caller({
      pool: this.pool,
      channel,
      spec,
      results,
      spinUs,
      nowMs,
      isOwnerAlive: () => true,
    });
    stages.push(this);
  }

  /** How often the leader was woken by then. */
  get wakes(): number {
    return this.pool.wakeSeen(0);
  }

  call(): void {
    void this.caller.call({ data: this.data }).catch(() => {});
  }
}

const stages: Stage[] = [];
afterEach(() => {
  for (const { caller } of stages.splice(0)) caller.abandon(() => new Error("the test is over"));
});

const LARGE = 100_000;

describe("a turn of small requests", () => {
  it("is one ring, with nothing before it", async () => {
    const stage = new Stage(16);
    for (let i = 0; i < 7; i++) stage.call();
    expect([stage.wakes, stage.pool.hasPending()]).toEqual([0, false]);
    await Promise.resolve();
    expect([stage.wakes, stage.pool.hasPending()]).toEqual([1, true]);
  });
});

describe("a caller that rings per round", () => {
  const patient = (): Stage => {
    const stage = new Stage(16);
    stage.caller.ringPerRound();
    return stage;
  };

  it("rings when a round has brought nothing new", async () => {
    const stage = patient();
    for (let round = 0; round < 3; round++) {
      stage.call();
      await nextRound();
      expect([stage.wakes, stage.pool.hasPending()]).toEqual([0, false]);
    }
    await nextRound();
    expect([stage.wakes, stage.pool.hasPending()]).toEqual([1, true]);
    stage.call();
    for (let round = 0; round < 3; round++) await nextRound();
    expect(stage.wakes).toBe(2);
  });

  it("does not wait with a full batch", async () => {
    const stage = patient();
    for (let i = 0; i < 8; i++) stage.call();
    expect([stage.wakes, stage.pool.hasPending()]).toEqual([1, true]);
    for (let round = 0; round < 3; round++) await nextRound();
    expect(stage.wakes).toBe(1);
  });
});

describe("giveUp(input)", () => {
  it("settles that input's request and no other", async () => {
    const { caller, data } = new Stage(16);
    const [one, other] = [{ data }, { data }];
    const free = caller.freeSlots;
    const [given, kept] = [caller.call(one), caller.call(other)];
    kept.catch(() => {});
    const reason = new Error("nobody wants it");
    caller.giveUp(one, reason);
    await expect(given).rejects.toBe(reason);
    expect([caller.freeSlots, caller.counts.inFlight]).toEqual([free - 1, 1]);
    // It is settled, or never was in flight: nothing happens.
    for (const input of [one, { data }]) caller.giveUp(input, reason);
    expect(caller.counts).toMatchObject({ submitted: 2, failed: 1, inFlight: 1 });
  });
});

describe("a turn of large requests", () => {
  it("is announced with the first, and one ring at its end where nobody runs", async () => {
    const stage = new Stage(LARGE);
    for (let i = 0; i < 7; i++) stage.call();
    expect([stage.wakes, stage.pool.hasPending()]).toEqual([1, false]);
    expect(stage.pool.takeComing()).toBe(true);
    await Promise.resolve();
    expect([stage.wakes, stage.pool.hasPending()]).toEqual([2, true]);
  });

  it("is a ring for each where an instance runs, and no announcement", async () => {
    const stage = new Stage(LARGE);
    stage.pool.setState(0, State.running);
    for (let i = 1; i <= 3; i++) {
      stage.call();
      expect([stage.wakes, stage.pool.hasPending()]).toEqual([i, true]);
    }
    await Promise.resolve();
    expect([stage.wakes, stage.pool.takeComing()]).toEqual([3, false]);
  });

  it("is not announced where nobody polls, nor where its copy takes longer than a poll", () => {
    for (const stage of [new Stage(LARGE, 0), new Stage(300_000)]) {
      stage.call();
      expect([stage.wakes, stage.pool.takeComing()]).toEqual([0, false]);
    }
  });
});
