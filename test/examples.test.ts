/** The examples as a person runs them, in the runtime that runs the tests. */

import { join } from "node:path";
import type { Pipe, PipeInput } from "trtpipe";
import { describe, expect, it } from "vitest";
import { runClients } from "../examples/reference/clients.ts";
import { readOptions } from "../examples/reference/options.ts";
import { figure, histogram, wrap } from "../examples/reference/text.ts";
import { thisRuntime } from "./native/this-runtime.ts";
import { root } from "./tidy/sources.ts";

const TIMEOUT_MS = 120_000;

interface Ended {
  status: number;
  output: string;
}

/** Plain JavaScript, which TypeScript does not look into. */
const { run } = (await import(join(root, "scripts", "run.mjs"))) as {
  run(command: string, args: readonly string[], options: { limitS: number }): Promise<Ended>;
};
const { fileCommand } = (await import(join(root, "scripts", "runtimes.mjs"))) as {
  fileCommand(runtime: string, file: string, args: readonly string[]): [string, string[]];
};

function example(name: string, ...args: string[]): Promise<Ended> {
  return run(...fileCommand(thisRuntime, `examples/${name}.ts`, args), { limitS: TIMEOUT_MS / 1000 });
}

describe("examples/reference.ts", () => {
  it(
    "runs the reference configuration and tells it as JSON",
    async () => {
      const { status, output } = await example("reference", "--seconds", "0.5", "--json");
      const report = JSON.parse(output.split("\n").find((line) => line.startsWith("{"))!);
      expect(status).toBe(0);
      expect(report).toMatchObject({
        ok: true,
        config: { instance_num: 2, batching_timeout: 5, backend: "SyncTensor[TensorrtTensor]", max: 4 },
        description: { instanceNum: 2, max: 4, batchingTimeoutMs: 5, inputs: [{ shape: [-1, 3, 224, 224] }] },
        load: { failed: 0, wrong: 0, error: null },
        answers: [
          { file: "chelsea.jpg", right: true },
          { file: "coffee.jpg", right: true },
          { file: "rocket.jpg", right: true },
        ],
      });
      const { requests, batches } = report.load;
      const sent = Object.values(batches.sizes as Record<string, number[]>);
      const rows = sent.flatMap((times) => times.map((count, size) => count * size));
      expect(requests).toBeGreaterThan(9);
      expect(rows.reduce((sum, count) => sum + count, 0)).toBe(requests);
    },
    TIMEOUT_MS,
  );

  it(
    "prints for people what fits in 80 columns, without colours",
    async () => {
      const { status, output } = await example("reference", "--seconds", "0.3", "--clients", "3");
      expect(status).toBe(0);
      expect(output).toMatch(/^ {2}runtime +\w+ \d[^]*^ {2}speed +[\d.,]+ requests\/s$[^]*^Batches: \d/m);
      expect(output).toMatch(/^ {2}coffee\.jpg +right: it shows espresso\n +9\d\.\d % {2}espresso$/m);
      expect(output.split("\n").filter((line) => line.length > 80)).toEqual([]);
      expect(output).not.toContain("\u001b");
    },
    TIMEOUT_MS,
  );

  it(
    "refuses what it does not understand",
    async () => {
      const { status, output } = await example("reference", "--second", "1");
      expect(status).toBe(1);
      expect(output).toContain("usage: npm start");
    },
    TIMEOUT_MS,
  );
});

describe("examples/classify.ts", () => {
  it(
    "says what is on a photo, and what is no photo",
    async () => {
      const { status, output } = await example("classify", "examples/data/coffee.jpg", "README.md");
      expect(status).toBe(1);
      expect(output).toMatch(/^examples\/data\/coffee\.jpg: espresso 9\d\.\d %, /m);
      expect(output).toMatch(/^README\.md: .+/m);
    },
    TIMEOUT_MS,
  );
});

describe("examples/magika.ts", () => {
  it(
    "tells kinds of files",
    async () => {
      const { status, output } = await example("magika", "src/memory", "examples/data/coffee.jpg");
      expect(status).toBe(0);
      expect(output).toMatch(
        /^ +\d+ {2}typescript +src\/memory\/\w+\.ts\n +1 {2}jpeg +examples\/data\/coffee/m,
      );
      expect(output).toMatch(/^\d+ files in [\d.]+ s, [\d.]+ to a batch/m);
    },
    TIMEOUT_MS,
  );
});

describe("the parts of the reference run", () => {
  /** A pipe whose n-th answer is `answer(n)`. */
  function fakePipe(answer: (call: number) => number[]): Pipe {
    let calls = 0;
    const models = async (input: PipeInput): Promise<unknown> => ({
      ...input,
      result: { data: Float32Array.from(answer(calls++)) },
    });
    const empty = { full: [0, 0], idle: [0, 0], timeout: [0, 0], drain: [0, 0] };
    const stats = () => ({ batches: 0, rows: 0, meanWaitMs: 0, meanRunMs: 0, sizes: empty });
    return Object.assign(models, { stats }) as unknown as Pipe;
  }
  const photos = [{ name: "photo", data: new Float32Array(3) }];

  it("counts answers that are not what the photo gave alone", async () => {
    const same = await runClients(
      fakePipe(() => [1, 2]),
      photos,
      2,
      0.01,
    );
    expect(same).toMatchObject({ failed: 0, wrong: 0 });
    const other = await runClients(
      fakePipe((call) => [1, call]),
      photos,
      2,
      0.01,
    );
    expect(other.requests).toBeGreaterThan(0);
    expect(other.wrong).toBe(other.requests);
    const nothing = await runClients(
      fakePipe((call) => [1, call === 0 ? 2 : NaN]),
      photos,
      1,
      0.01,
    );
    expect(nothing.wrong).toBe(nothing.requests);
  });

  it("counts requests that fail, and keeps the first error", async () => {
    const fails = fakePipe((call) => {
      if (call > 0) throw new Error(`no ${call}`);
      return [1];
    });
    const load = await runClients(fails, photos, 3, 0.05);
    expect(load).toMatchObject({ requests: 0, failed: 3, error: "Error: no 1" });
  });

  it("reads options", () => {
    expect(readOptions([])).toEqual({ seconds: 4, clients: 10, json: false });
    expect(() => readOptions(["--clients", "1.5"])).toThrow(
      "Cannot use --clients: expected an integer, got 1.5",
    );
    expect(() => readOptions(["--seconds", "no"])).toThrow('expected a number from 0.1 to 3600, got "no"');
  });

  it("draws a line for each size that was sent", () => {
    const sizes = { full: [0, 0, 40], idle: [0, 1, 0], timeout: [0, 3, 0], drain: [0, 0, 0] };
    expect(histogram(sizes)).toEqual([
      `     1        4  ${"##".padEnd(20)}  1 idle, 3 timeout`,
      `     2       40  ${"#".repeat(20)}  40 full`,
    ]);
  });

  it("breaks lines at 80 columns and writes numbers in three digits", () => {
    const text = wrap("word ".repeat(30).trim(), "  name  ");
    expect(text.split("\n").map((line) => line.length <= 80)).toEqual([true, true, true]);
    expect(text.replaceAll(/\s+/g, " ").trim()).toBe(`name ${"word ".repeat(30).trim()}`);
    expect([1.234, 12.34, 1234.5, NaN].map(figure)).toEqual(["1.23", "12.3", "1,235", "-"]);
  });
});
