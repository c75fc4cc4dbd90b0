/** How `trtpipe tune` searches and chooses, on machines and models that are made up here. */

import { describe, expect, it } from "vitest";
import {
  defaultCandidate,
  firstRound,
  withTimeouts,
  type Candidate,
  type Space,
} from "../../src/cli/tune/candidates.ts";
import { choose, rank, survivors, type Goal, type Measured } from "../../src/cli/tune/choose.ts";
import { explain } from "../../src/cli/tune/explain.ts";
import { search } from "../../src/cli/tune/search.ts";

const space: Space = { cores: 4, clients: 10, device: false, fixedMax: undefined };
const most: Goal = { kind: "throughput", p99LimitMs: undefined };

function candidate(values: Partial<Candidate> = {}): Candidate {
  return { instanceNum: 1, intraOpThreads: 4, max: 1, batchingTimeoutMs: 0, ...values };
}

function measured(values: Partial<Measured>, of: Partial<Candidate> = {}): Measured {
  return {
    candidate: candidate(of),
    requestsPerS: 100,
    p50Ms: 10,
    p99Ms: 20,
    meanBatch: 1,
    failed: 0,
    ...values,
  };
}

describe("candidates", () => {
  it("share all cores out among instances, and promise none twice", () => {
    const splits = firstRound(space).map(({ instanceNum, intraOpThreads }) => [instanceNum, intraOpThreads]);
    expect([...new Set(splits.map(String))]).toEqual(["1,4", "2,2", "4,1"]);
    for (const [instances, threads] of splits) expect(instances! * threads!).toBeLessThanOrEqual(4);
  });

  it("use a number of cores that is no power of two", () => {
    const splits = firstRound({ ...space, cores: 6 }).map(
      (one) => `${one.instanceNum},${one.intraOpThreads}`,
    );
    expect(new Set(splits)).toEqual(new Set(["1,6", "2,3", "4,1", "6,1"]));
  });

  it("have batches that the clients can fill, among them all clients and an instance's share", () => {
    const sizes = firstRound(space).filter(({ instanceNum }) => instanceNum === 2);
    expect(sizes.map(({ max }) => max)).toEqual([1, 2, 3, 4, 5, 8, 10]);
  });

  it("keep the batch size of a model that takes only one, and know no threads on a device", () => {
    const fixed = firstRound({ ...space, device: true, fixedMax: 3 });
    expect(fixed.map(({ instanceNum, max }) => [instanceNum, max])).toEqual([[1, 3], [2, 3], [3, 3], [4, 3]]);
    expect(fixed.every(({ intraOpThreads }) => intraOpThreads === null)).toBe(true);
    expect(defaultCandidate({ ...space, fixedMax: 3 })).toEqual(candidate({ max: 3 }));
  }); // prettier-ignore

  it("wait for batches to fill only where several instances take several rows", () => {
    const waits = withTimeouts([candidate(), candidate({ max: 4 }), candidate({ instanceNum: 2, max: 4 })]);
    expect(waits.map(({ instanceNum, batchingTimeoutMs }) => [instanceNum, batchingTimeoutMs])).toEqual([
      [1, 0], [1, 0], [2, 0], [2, 2], [2, 5], [2, 10],
    ]);
  }); // prettier-ignore
});

describe("choice", () => {
  const small = measured({ requestsPerS: 98, p99Ms: 30 }, { max: 2 });
  const large = measured({ requestsPerS: 100, p99Ms: 50 }, { instanceNum: 4, max: 8 });
  const slow = measured({ requestsPerS: 50, p99Ms: 10 }, { max: 1 });
  const broken = measured({ requestsPerS: 900, failed: 1 }, { max: 16 });

  it("takes the smallest of those that are as fast as the fastest", () => {
    expect(choose([large, small, slow], most)).toBe(small);
    expect(choose([large, { ...small, requestsPerS: 90 }, slow], most)).toBe(large);
  });

  it("never takes one that failed a request", () => {
    expect(choose([broken, slow], most)).toBe(slow);
    expect(choose([broken], most)).toBeUndefined();
  });

  it("keeps p99 within the bound, and says so if none does", () => {
    expect(choose([large, small, slow], { kind: "throughput", p99LimitMs: 20 })).toBe(slow);
    expect(choose([large, small, slow], { kind: "throughput", p99LimitMs: 5 })).toBeUndefined();
  });

  it("takes the lowest p99 when latency is wanted", () => {
    expect(choose([large, small, slow], { kind: "latency", p99LimitMs: undefined })).toBe(slow);
    expect(rank([large, small, slow], { kind: "latency", p99LimitMs: undefined })).toEqual([
      slow,
      small,
      large,
    ]);
  });

  it("looks again at those that come nearest, if none is within the bound yet", () => {
    expect(survivors([large, small], { kind: "throughput", p99LimitMs: 1 }, 1)).toEqual([small.candidate]);
  });
});

describe("search", () => {
  /** A machine on which a run takes 4 ms and 1 ms more for each row, on each of the instances. */
  const machine = ({ instanceNum, max, batchingTimeoutMs }: Candidate, clients: number): Measured => {
    const rows = Math.min(max, Math.ceil(clients / instanceNum));
    const runMs = (4 + rows) * (instanceNum > 2 ? instanceNum / 2 : 1) + batchingTimeoutMs / 10;
    const requestsPerS = (instanceNum * rows * 1000) / runMs;
    const of = { instanceNum, intraOpThreads: 4 / instanceNum, max, batchingTimeoutMs };
    return measured({ requestsPerS, p99Ms: (clients / requestsPerS) * 1000, meanBatch: rows }, of);
  };

  it("ends at the machine's best, and measures the default beside it", async () => {
    const asked: [Candidate, number][] = [];
    const found = await search({
      space,
      goal: most,
      measureMs: 100,
      step: () => {},
      measure: (one, measureMs) => {
        asked.push([one, measureMs]);
        return Promise.resolve(machine(one, 10));
      },
    });
    const best = choose(found.finalists, most)!;
    expect(best.candidate).toEqual(candidate({ instanceNum: 2, intraOpThreads: 2, max: 5 }));
    expect(found.baseline.candidate).toEqual(candidate());
    const last = asked.filter(([, measureMs]) => measureMs === 300).map(([one]) => one);
    expect(last.filter((one) => one.max === 5 && one.batchingTimeoutMs === 0)).toHaveLength(3);
    expect(last.slice(0, last.length / 3)).toEqual(last.slice(last.length / 3, (2 * last.length) / 3));
    expect(explain(best, found.all, most)).toEqual([
      expect.stringMatching(/^max: 5 gives as much as max: \d+, and 2\.78 times what max: 1\.$/),
      expect.stringMatching(/^instance_num: 2, intra_op_threads: 2 gives /),
      expect.stringMatching(/^batching_timeout: 0 gives as much as batching_timeout: 2, and 1\.11 times/),
    ]);
  });

  it("counts a configuration that fails in one of its rounds as failed", async () => {
    let calls = 0;
    const fixed = { ...space, cores: 1, clients: 1, fixedMax: 1 };
    const found = await search({
      space: fixed,
      goal: most,
      measureMs: 100,
      step: () => {},
      measure: (one) => Promise.resolve({ ...measured({}, one), failed: ++calls === 3 ? 2 : 0 }),
    });
    expect(choose(found.finalists, most)).toBeUndefined();
  });

  it("passes on what a measurement throws", async () => {
    const error = new Error("no such model");
    const broken = search({
      space,
      goal: most,
      measureMs: 100,
      step: () => {},
      measure: () => Promise.reject(error),
    });
    await expect(broken).rejects.toBe(error);
  });
});
