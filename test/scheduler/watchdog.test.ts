/** The watchdog and the calls that it looks at, step by step, with everybody else played by the test. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OwnCalls, callOf, cameBack, giveUpCall, threadsAway } from "../../src/memory/calls.ts";
import { Phase, Outcome, outcomeOf, phaseOf } from "../../src/memory/slot.ts";
import { INTERRUPT_MS, Watchdog } from "../../src/scheduler/watchdog.ts";
import { withAtomics } from "../support/atomics.ts";
import { makeMemory, publish } from "../support/memory.ts";
import type { Memory } from "../support/memory.ts";
import { slotWord } from "../../src/memory/slot.ts";

const TIMEOUT_MS = 100;

let memory: Memory;
/** What the watchdog did. */
let done: string[];
let watchdog: Watchdog;

function start(runTimeoutMs = TIMEOUT_MS): void {
  memory = makeMemory({ instances: 2 });
  done = [];
  watchdog = new Watchdog(memory.pool, runTimeoutMs, () => performance.now(), {
    interrupt: (instance) => done.push(`interrupt ${instance}`),
    onLost: (instance, ranMs) => done.push(`lost ${instance} after ${ranMs}`),
  });
}

const unwatched = (): boolean => memory.pool.words[memory.pool.layout.unwatched] !== 0;
const calls = (instance: number): OwnCalls => new OwnCalls(memory.pool, instance);

/** A call begins, and wakes the watchdog if it has to. */
function begin(own: OwnCalls): number {
  const { run, isUnwatched } = own.begin(performance.now());
  if (isUnwatched) watchdog.look();
  return run;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  start();
});
afterEach(() => void vi.useRealTimers());

describe("the watchdog", () => {
  it("has no timer while nothing runs, and is told when something does", () => {
    watchdog.look();
    expect([vi.getTimerCount(), unwatched()]).toEqual([0, true]);
    const own = calls(0);
    begin(own);
    expect([vi.getTimerCount(), unwatched()]).toEqual([1, false]);
    expect(own.end()).toBe(true);
    vi.advanceTimersByTime(TIMEOUT_MS);
    expect([vi.getTimerCount(), unwatched()]).toEqual([0, true]);
    expect(done).toEqual([]);
  });

  it("needs one timer in each bound, however many calls there are", () => {
    watchdog.look();
    const own = calls(1);
    let woken = 0;
    for (let call = 0; call < 1000; call++) {
      const { isUnwatched } = own.begin(performance.now());
      if (isUnwatched) {
        woken++;
        watchdog.look();
      }
      vi.advanceTimersByTime(1);
      expect(own.end()).toBe(true);
    }
    expect(woken).toBeLessThanOrEqual(1000 / TIMEOUT_MS);
    expect(done).toEqual([]);
  });

  it("asks a late call to end, once, and gives it up after its time", () => {
    watchdog.look();
    const own = calls(0);
    begin(own);
    vi.advanceTimersByTime(TIMEOUT_MS - 1);
    expect(done).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(done).toEqual(["interrupt 0"]);
    vi.advanceTimersByTime(INTERRUPT_MS - 1);
    expect(done).toEqual(["interrupt 0"]);
    vi.advanceTimersByTime(1);
    expect(done).toEqual(["interrupt 0", `lost 0 after ${TIMEOUT_MS + INTERRUPT_MS}`]);
    expect(threadsAway(memory.pool, 0)).toBe(1);
    expect(own.end()).toBe(false);
    cameBack(memory.pool, 0);
    expect(threadsAway(memory.pool, 0)).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves a call alone that ends when it is asked to, and the one after it", () => {
    watchdog.look();
    const own = calls(0);
    const first = begin(own);
    vi.advanceTimersByTime(TIMEOUT_MS);
    expect(own.end()).toBe(true);
    expect(begin(own)).not.toBe(first);
    vi.advanceTimersByTime(TIMEOUT_MS - 1);
    expect(done).toEqual(["interrupt 0"]);
    vi.advanceTimersByTime(1);
    expect(done).toEqual(["interrupt 0", "interrupt 0"]);
  });

  it("watches calls that begin while another one is given its time to end", () => {
    watchdog.look();
    begin(calls(0));
    vi.advanceTimersByTime(TIMEOUT_MS + 10);
    begin(calls(1));
    vi.advanceTimersByTime(TIMEOUT_MS + 90);
    expect(done).toEqual(["interrupt 0", "interrupt 1"]);
  });

  it("looks after all instances by one timer", () => {
    watchdog.look();
    begin(calls(0));
    vi.advanceTimersByTime(40);
    begin(calls(1));
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(TIMEOUT_MS + INTERRUPT_MS);
    const lost = (instance: number): string => `lost ${instance} after ${TIMEOUT_MS + INTERRUPT_MS}`;
    expect(done).toEqual(["interrupt 0", "interrupt 1", lost(0), lost(1)]);
  });

  it("does nothing without a bound, and nothing after stop()", () => {
    start(0);
    watchdog.look();
    begin(calls(0));
    expect([vi.getTimerCount(), unwatched()]).toEqual([0, false]);
    start();
    begin(calls(0));
    watchdog.look();
    watchdog.stop();
    vi.advanceTimersByTime(10_000);
    expect(done).toEqual([]);
  });

  it("misses no call that begins while it goes to sleep", () => {
    for (let access = 0, accesses = 1; access < accesses; access++) {
      start();
      const own = calls(0);
      let isUnwatched = false;
      accesses = withAtomics(
        {
          before: (at) => {
            if (at === access) ({ isUnwatched } = own.begin(performance.now()));
          },
        },
        () => watchdog.look(),
      );
      // Either it has seen the call, or the call was told that nobody has.
      if (isUnwatched) watchdog.look();
      expect([access, vi.getTimerCount()]).toEqual([access, 1]);
      watchdog.stop();
    }
  });
});

describe("a call's end", () => {
  it("has one winner at each moment", () => {
    const own = calls(0);
    own.begin(5);
    const call = callOf(memory.pool, 0)!;
    expect(call.startedMs).toBe(5);
    expect(own.end()).toBe(true);
    expect(giveUpCall(memory.pool, 0, call)).toBe(false);
    expect(threadsAway(memory.pool, 0)).toBe(0);
    own.begin(6);
    expect(giveUpCall(memory.pool, 0, call)).toBe(false);
    expect(giveUpCall(memory.pool, 0, callOf(memory.pool, 0)!)).toBe(true);
    expect(own.end()).toBe(false);
    expect(callOf(memory.pool, 0)).toBe(null);
  });

  it("is never taken for that of a successor, which begins as many calls", () => {
    const late = calls(0);
    late.begin(1);
    expect(giveUpCall(memory.pool, 0, callOf(memory.pool, 0)!)).toBe(true);
    const successor = calls(0);
    for (let call = 0; call < 5; call++) {
      successor.begin(call);
      expect(late.end()).toBe(false);
      expect(successor.end()).toBe(true);
      expect(late.end()).toBe(false);
    }
  });

  it("may come after 2^23 calls, whose numbers start again", () => {
    const own = calls(0);
    const runs = new Set<number>();
    const { words } = memory.pool;
    const at = memory.pool.line(0) + 2;
    words[at] = 0x7f00_0000 | 0x00ff_fffc;
    const wrapping = calls(0);
    for (let call = 0; call < 4; call++) {
      runs.add(wrapping.begin(call).run);
      expect(words[at] >>> 24).toBe(0x7f);
      expect(wrapping.end()).toBe(true);
    }
    expect(runs.size).toBe(4);
    expect(own.end()).toBe(false);
  });
});

describe("rows of a call that was given up", () => {
  const taken = (slot: number, owner: number): void => {
    const [channel] = memory.channels;
    publish(channel, slot);
    channel.control[channel.layout.word + slot] = slotWord(Phase.taken, owner, 0, 1);
  };
  const phase = (slot: number): number => phaseOf(memory.channels[0].wordOf(slot));

  it("are told at once and free only when the call is back", () => {
    const [channel] = memory.channels;
    taken(0, 1);
    taken(3, 1);
    taken(4, 0);
    expect(channel.loseTaken(1)).toBe(2);
    expect([phase(0), phase(3), phase(4)]).toEqual([Phase.lost, Phase.lost, Phase.taken]);
    expect(channel.takeDone(0)).toBe(0b1001);
    // The death of a successor does not touch them, nor does an answer in its name.
    expect(channel.failTaken(1)).toBe(0);
    expect(channel.complete(0, 1, 1, Outcome.ok)).toBe(false);
    expect(channel.giveBack(0, 0, 1)).toBe(false);
    expect(channel.giveBack(0, 1, 2)).toBe(false);
    expect(channel.giveBack(0, 1, 1)).toBe(true);
    expect([phase(0), outcomeOf(channel.wordOf(0))]).toEqual([Phase.done, Outcome.callLost]);
    expect(channel.takeDone(0)).toBe(0b0001);
    expect(channel.giveBack(0, 1, 1)).toBe(false);
    expect(phase(3)).toBe(Phase.lost);
  });

  it("come back although the supervisor has not come to them yet", () => {
    const [channel] = memory.channels;
    taken(2, 1);
    expect(channel.giveBack(2, 1, 1)).toBe(true);
    expect(channel.loseTaken(1)).toBe(0);
    expect(phase(2)).toBe(Phase.done);
  });

  it("keep a channel from being inherited", () => {
    const [channel] = memory.channels;
    channel.claim();
    channel.watch = 7;
    taken(1, 0);
    channel.loseTaken(0);
    expect(channel.inherit(7, 8)).toBe(false);
    channel.giveBack(1, 0, 1);
    expect(channel.inherit(7, 8)).toBe(true);
    expect(phase(1)).toBe(Phase.free);
  });
});
