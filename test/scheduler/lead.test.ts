/** What a leader does: when it sends, what it takes, whom it wakes, and when it stops. */

import { describe, expect, it } from "vitest";
import { Gate, State } from "../../src/memory/pool.ts";
import { Reason } from "../../src/scheduler/decide.ts";
import { StuckError, withAtomics } from "../support/atomics.ts";
import { Stage } from "../support/stage.ts";

const ME = 0;
const OTHER = 1;

describe("acquire", () => {
  it("takes a free lead at once", () => {
    const stage = new Stage();
    withAtomics({}, () => stage.lead().acquire());
    expect(stage.pool.leader).toBe(ME);
    expect(stage.pool.state(ME)).toBe(State.leading);
  });

  it("parks while somebody else leads, and leads when woken", () => {
    const stage = new Stage();
    stage.pool.tryLead(OTHER);
    const onWait = (): void => {
      expect(stage.pool.state(ME)).toBe(State.parked);
      stage.pool.dropLead();
      stage.pool.wakeParked();
    };
    withAtomics({ onWait }, () => stage.lead().acquire());
    expect(stage.pool.leader).toBe(ME);
  });

  it("sleeps on after a wake that was not meant for it", () => {
    const stage = new Stage();
    stage.pool.tryLead(OTHER);
    let waits = 0;
    const onWait = (): void => {
      if (++waits === 3) stage.pool.dropLead();
      stage.pool.wake(ME);
    };
    withAtomics({ onWait }, () => stage.lead().acquire());
    expect(waits).toBe(3);
  });

  it("makes the lists anew after a leader died", () => {
    const stage = new Stage();
    stage.lead().acquire();
    stage.request(0, [3]);
    stage.nowMs++;
    stage.request(0, [1]);
    stage.pool.freeLeadOf(ME);
    // The dead leader had taken the bell's word for it already.
    stage.pool.takePending(0);
    const next = stage.lead(OTHER);
    withAtomics({}, () => {
      next.acquire();
      expect(next.gather(stage.batch)).toBe(Reason.idle);
    });
    expect(stage.rows()).toEqual(["0:3", "0:1"]);
  });
});

describe("gather", () => {
  it("sends a lone request at once where nobody runs, whatever the batching timeout", () => {
    const stage = new Stage({ batchingTimeoutMs: 1e6 });
    const lead = stage.lead();
    withAtomics({}, () => {
      lead.acquire();
      stage.request(0, [0]);
      expect(lead.gather(stage.batch)).toBe(Reason.idle);
    });
    expect(stage.rows()).toEqual(["0:0"]);
  });

  it("waits for a request to come", () => {
    const stage = new Stage();
    const lead = stage.lead();
    const onWait = (timeoutMs: number): void => {
      expect(timeoutMs).toBe(Infinity);
      expect(stage.pool.state(ME)).toBe(State.parked);
      stage.request(1, [7]);
    };
    withAtomics({ onWait }, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.idle);
    });
    expect(stage.rows()).toEqual(["1:7"]);
  });

  it("lets a batch grow while others run, until it is full", () => {
    const stage = new Stage({ batchingTimeoutMs: 5 });
    const lead = stage.lead();
    stage.pool.setState(OTHER, State.running);
    let slot = 0;
    const onWait = (): void => stage.request(slot % 2, [slot++]);
    withAtomics({ onWait }, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.full);
    });
    expect(stage.rows()).toEqual(["0:0", "1:1", "0:2", "1:3"]);
  });

  it("sends what there is when the oldest request has waited for the batching timeout", () => {
    const stage = new Stage({ batchingTimeoutMs: 5 });
    const lead = stage.lead();
    stage.pool.setState(OTHER, State.running);
    stage.request(0, [0]);
    const timeouts: number[] = [];
    const onWait = (timeoutMs: number): void => {
      timeouts.push(timeoutMs);
      stage.nowMs += timeouts.length === 1 ? 2 : timeoutMs;
      if (timeouts.length === 1) stage.request(1, [0]);
    };
    withAtomics({ onWait }, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.timeout);
    });
    expect(timeouts).toEqual([5, 3]);
    expect(stage.rows()).toEqual(["0:0", "1:0"]);
  });

  it("sends at once when the last of the others has finished", () => {
    const stage = new Stage({ batchingTimeoutMs: 1000 });
    const lead = stage.lead();
    stage.pool.setState(OTHER, State.running);
    stage.request(0, [0]);
    const onWait = (): void => {
      stage.pool.setState(OTHER, State.idle);
      stage.pool.wake(ME);
    };
    withAtomics({ onWait }, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.idle);
    });
  });

  it("takes what is queued without waiting when the batching timeout is 0", () => {
    const stage = new Stage({ batchingTimeoutMs: 0 });
    const lead = stage.lead();
    stage.pool.setState(OTHER, State.running);
    stage.request(0, [0, 1]);
    withAtomics({}, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.timeout);
    });
    expect(stage.rows()).toEqual(["0:0", "0:1"]);
  });

  it("never takes more than the largest batch", () => {
    const stage = new Stage({ shape: { slots: 16, maxRows: 4 } });
    const lead = stage.lead();
    stage.request(0, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    withAtomics({}, () => {
      for (const rows of [4, 4, 1]) {
        lead.acquire();
        lead.gather(stage.batch);
        expect(stage.batch.rows).toBe(rows);
        lead.give(State.idle);
      }
    });
  });

  it("goes on waiting when everything that waited was given up", () => {
    const stage = new Stage();
    const lead = stage.lead();
    stage.request(0, [0]);
    stage.channels[0].cancel(0);
    withAtomics({ onWait: () => stage.request(1, [2]) }, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.idle);
    });
    expect(stage.rows()).toEqual(["1:2"]);
  });

  it("polls without sleeping while requests come quickly", () => {
    const stage = new Stage({ spinUs: 50 });
    const lead = stage.lead();
    const before = (access: number): void => {
      stage.nowMs += 0.0001;
      if (access === 40) stage.request(0, [0]);
    };
    const onWait = (): void => expect.unreachable("it slept");
    withAtomics({ before, onWait }, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.idle);
    });
  });
});

describe("gather, after rows were announced", () => {
  it("polls for them once, though polls have been in vain, and sleeps no sooner", () => {
    const stage = new Stage({ spinUs: 50 });
    const lead = stage.lead();
    let accesses = 0;
    let sleeps = 0;
    const before = (): void => {
      stage.nowMs += 0.001;
      // Within the poll that the announcement asks for.
      if (sleeps === 3 && ++accesses === 20) stage.request(0, [3]);
    };
    const onWait = (): void => {
      // Two polls of three waits were in vain: the next two waits would not poll.
      if (++sleeps < 3) stage.pool.wake(ME);
      else if (sleeps === 3) stage.pool.announceRows();
      else throw new StuckError("it slept a fourth time");
    };
    withAtomics({ before, onWait }, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.idle);
    });
    expect(sleeps).toBe(3);
    expect(stage.rows()).toEqual(["0:3"]);
  });

  it("does not poll for what was announced and is here", () => {
    const stage = new Stage({ spinUs: 50 });
    const lead = stage.lead();
    stage.request(0, [0]);
    stage.pool.announceRows();
    withAtomics({}, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.idle);
    });
    expect(stage.pool.takeComing()).toBe(false);
  });
});

describe("gather, when the pipe closes", () => {
  it("sends what waits, then stops", () => {
    const stage = new Stage({ batchingTimeoutMs: 1000 });
    const lead = stage.lead();
    stage.pool.setState(OTHER, State.running);
    stage.request(0, [0]);
    stage.pool.setGate(Gate.draining);
    withAtomics({}, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(Reason.drain);
      lead.give(State.idle);
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(-1);
    });
  });

  it("stops at once when the gate is shut", () => {
    const stage = new Stage();
    const lead = stage.lead();
    stage.request(0, [0]);
    stage.pool.setGate(Gate.shut);
    withAtomics({}, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(-1);
    });
  });

  it("is told so while it sleeps", () => {
    const stage = new Stage();
    const lead = stage.lead();
    const onWait = (): void => {
      stage.pool.setGate(Gate.draining);
      stage.pool.wakeAll();
    };
    withAtomics({ onWait }, () => {
      lead.acquire();
      expect(lead.gather(stage.batch)).toBe(-1);
    });
  });
});

describe("more shapes than lists", () => {
  const shape = { inputDims: 1, groups: 1, slots: 8 };

  it("are sent one after the other", () => {
    const stage = new Stage({ shape });
    const lead = stage.lead();
    const sent: string[][] = [];
    withAtomics({}, () => {
      lead.acquire();
      for (const [slot, dim] of [5, 6, 7].entries()) stage.request(0, [slot], [dim]);
      stage.request(1, [0], [7]);
      while (sent.flat().length < 4) {
        lead.gather(stage.batch);
        sent.push(stage.rows());
        lead.give(State.idle);
        lead.acquire();
      }
    });
    expect(sent.flat().toSorted()).toEqual(["0:0", "0:1", "0:2", "1:0"]);
    expect(sent.flat().filter((row) => row.startsWith("0:"))).toEqual(["0:0", "0:1", "0:2"]);
  });

  it("are found by the next leader too", () => {
    const stage = new Stage({ shape });
    const [first, second] = [stage.lead(ME), stage.lead(OTHER)];
    withAtomics({}, () => {
      first.acquire();
      for (const [slot, dim] of [5, 6].entries()) stage.request(0, [slot], [dim]);
      first.gather(stage.batch);
      first.give(State.running);
      stage.pool.setState(ME, State.idle);
      second.acquire();
      expect(second.gather(stage.batch)).toBe(Reason.idle);
    });
    expect(stage.rows()).toEqual(["0:1"]);
  });

  it("are found by a leader that follows a dead one", () => {
    const stage = new Stage({ shape });
    stage.lead().acquire();
    for (const [slot, dim] of [5, 6].entries()) stage.request(0, [slot], [dim]);
    stage.pool.takePending(0);
    stage.pool.freeLeadOf(ME);
    const next = stage.lead(OTHER);
    const sent: string[][] = [];
    withAtomics({}, () => {
      for (let n = 0; n < 2; n++) {
        next.acquire();
        next.gather(stage.batch);
        sent.push(stage.rows());
        next.give(State.idle);
      }
    });
    expect(sent).toEqual([["0:0"], ["0:1"]]);
  });

  it("are sent when the shape in front of them was given up", () => {
    const stage = new Stage({ shape, batchingTimeoutMs: 1000 });
    const lead = stage.lead();
    stage.pool.setState(OTHER, State.running);
    let waits = 0;
    const onWait = (): void => {
      if (waits++ > 0) return;
      stage.channels[0].cancel(0);
      stage.pool.setState(OTHER, State.idle);
      stage.pool.wake(ME);
    };
    withAtomics({ onWait }, () => {
      lead.acquire();
      for (const [slot, dim] of [5, 6].entries()) stage.request(0, [slot], [dim]);
      expect(lead.gather(stage.batch)).toBe(Reason.idle);
    });
    expect(stage.rows()).toEqual(["0:1"]);
  });

  it("are sent when nobody wants any of the shapes in front of them any more", () => {
    const stage = new Stage({ shape: { inputDims: 1, groups: 1 } });
    const lead = stage.lead();
    withAtomics({}, () => lead.acquire());
    for (const slot of [0, 1, 2, 3]) stage.request(0, [slot], [slot + 1]);
    for (const slot of [0, 1, 2]) stage.channels[0].deadlines[slot] = stage.nowMs;
    withAtomics({}, () => lead.gather(stage.batch));
    expect(stage.rows()).toEqual(["0:3"]);
  });

  it("are all sent before a closing pipe stops", () => {
    const stage = new Stage({ shape, batchingTimeoutMs: 1000 });
    const lead = stage.lead();
    stage.pool.setState(OTHER, State.running);
    const onWait = (): void => {
      stage.channels[0].cancel(0);
      stage.pool.setGate(Gate.draining);
      stage.pool.wakeAll();
    };
    withAtomics({ onWait }, () => {
      lead.acquire();
      for (const [slot, dim] of [5, 6].entries()) stage.request(0, [slot], [dim]);
      expect(lead.gather(stage.batch)).toBe(Reason.drain);
    });
    expect(stage.rows()).toEqual(["0:1"]);
  });
});

describe("give", () => {
  it.each([
    ["rows are left over", (stage: Stage) => stage.request(0, [0, 1, 2, 3, 4])],
    ["a bell rang meanwhile", (stage: Stage) => stage.request(0, [0])],
    ["the pipe closes", (stage: Stage) => stage.pool.setGate(Gate.draining)],
  ])("wakes a parked instance when %s", (_, change) => {
    const stage = new Stage();
    const lead = stage.lead();
    stage.pool.setState(OTHER, State.parked);
    lead.acquire();
    change(stage);
    if (stage.batch.rows === 0 && stage.pool.hasPending()) lead.gather(stage.batch);
    const seen = stage.pool.wakeSeen(OTHER);
    if (!stage.pool.hasPending() && stage.batch.rows === 1) stage.request(1, [0]);
    lead.give(State.running);
    expect(stage.pool.wakeSeen(OTHER)).toBeGreaterThan(seen);
    expect(stage.pool.state(ME)).toBe(State.running);
  });

  it("wakes nobody when there is nothing to do", () => {
    const stage = new Stage();
    const lead = stage.lead();
    stage.pool.setState(OTHER, State.parked);
    lead.acquire();
    stage.request(0, [0]);
    lead.gather(stage.batch);
    const seen = stage.pool.wakeSeen(OTHER);
    lead.give(State.running);
    expect(stage.pool.wakeSeen(OTHER)).toBe(seen);
    expect(stage.pool.leader).toBe(-1);
  });
});

describe("the stage itself", () => {
  it("notices a leader that would sleep for ever", () => {
    const stage = new Stage();
    const lead = stage.lead();
    lead.acquire();
    expect(() => withAtomics({}, () => lead.gather(stage.batch))).toThrow(StuckError);
  });
});
