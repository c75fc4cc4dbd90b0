/** Building engines with the fake TensorRT: how far it is, giving it up, and what is kept. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runChild, type Ended } from "../support/child.ts";
import { libraries, negationModel } from "../support/tensorrt.ts";
import { root } from "../tidy/sources.ts";

const folder = mkdtempSync(join(tmpdir(), "trtpipe-build-"));
const model = join(folder, "negation.onnx");
writeFileSync(model, negationModel());

afterAll(() => rmSync(folder, { recursive: true }));

interface Case {
  cache: string;
  /** Where the building process has its files. */
  scratch: string;
  env: Record<string, string>;
}

/** A folder of its own for each test, so that what is left behind is seen. */
function prepare(name: string, family: keyof typeof libraries = "tensorrt10", stepMs = 60): Case {
  const own = join(folder, name);
  const scratch = join(own, "scratch");
  mkdirSync(scratch, { recursive: true });
  const env = {
    TRTPIPE_CUDA: join(root, "build", "fault", "fake", "libcuda.so.1"),
    TRTPIPE_TENSORRT: libraries[family],
    FAKE_TRT_STEP_MS: String(stepMs),
    TMPDIR: scratch,
  };
  return { cache: join(own, "engine.trt"), scratch, env };
}

const run = ({ cache, env }: Case, how = "", extra = {}): Promise<Ended> =>
  runChild("test/support/build.mjs", { args: [model, cache, how, JSON.stringify(extra)], env });

const statesOf = ({ lines }: Ended): { fraction: number; stage: string; elapsedMs: number }[] =>
  lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as never);

describe("build()", () => {
  it.each(["tensorrt10", "tensorrt11", "rtx"] as const)("tells how far it is with %s", async (family) => {
    const given = prepare(family, family);
    const ended = await run(given);
    expect(ended.lines.at(-1)).toBe("done");
    const states = statesOf(ended);
    const fractions = states.map(({ fraction }) => fraction);
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
    expect(new Set(fractions).size).toBeGreaterThan(5);
    expect(fractions.at(-1)).toBe(1);
    expect(states.map(({ stage }) => stage)).toEqual(
      expect.arrayContaining(["Choosing kernels", "Writing the plan"]),
    );
    expect(readdirSync(given.scratch)).toEqual([]);
    expect(readFileSync(given.cache).toString("latin1", 0, 7)).toBe("TRTPIPE");
  });

  it("tells nothing of an engine that is there", async () => {
    const given = prepare("there", "tensorrt10", 0);
    await run(given);
    const again = await run(given);
    expect(again.lines).toEqual(["done"]);
  });

  it.each([
    ["abort", "failed: enough"],
    ["break", "done"],
  ])("ends at once by %s, and leaves nothing behind", async (how, last) => {
    // The whole would take ten seconds.
    const given = prepare(how, "tensorrt10", 900);
    const startMs = performance.now();
    const ended = await run(given, how);
    expect({ last: ended.lines.at(-1), hung: ended.hung }).toEqual({ last, hung: false });
    expect(performance.now() - startMs).toBeLessThan(8000);
    expect(statesOf(ended).at(-1)?.fraction).toBeLessThan(0.8);
    expect(readdirSync(given.scratch)).toEqual([]);
    expect(readdirSync(join(folder, how)).filter((name) => name !== "scratch")).toEqual(["engine.trt.lock"]);
  });

  it("is done once where two processes want an engine at once", async () => {
    const given = prepare("two", "tensorrt10", 100);
    const both = await Promise.all([run(given), run(given)]);
    expect(both.map(({ lines, code }) => [lines.at(-1), code])).toEqual([
      ["done", 0],
      ["done", 0],
    ]);
    const builders = both.filter((ended) =>
      statesOf(ended).some(({ stage }) => stage === "Choosing kernels"),
    );
    expect(builders).toHaveLength(1);
    expect((await run(given)).lines).toEqual(["done"]);
    expect(readdirSync(given.scratch)).toEqual([]);
  });

  it.each([0.1, 0.5, 0.9])("that is killed at %f leaves no part of an engine", async (at) => {
    // Slow, so that it is not done before it is killed, also where all cores are busy.
    const slow = prepare(`killed ${at}`, "tensorrt10", 300);
    const given = prepare(`killed ${at}`, "tensorrt10", 60);
    const onLine = (line: string, pid: number): void => {
      if (line.startsWith("{") && JSON.parse(line).fraction >= at) process.kill(pid, "SIGKILL");
    };
    const args = [model, given.cache];
    const killed = await runChild("test/support/build.mjs", { args, env: slow.env, onLine });
    expect(killed.signal).toBe("SIGKILL");
    expect(readdirSync(join(folder, `killed ${at}`)).filter((name) => name.startsWith("engine.trt"))).toEqual(
      ["engine.trt.lock"],
    );
    // Whoever comes next is not held up by the dead one, and builds it anew.
    const next = await run(given);
    expect(next.lines.at(-1)).toBe("done");
    expect(statesOf(next).length).toBeGreaterThan(3);
    expect((await run(given)).lines).toEqual(["done"]);
  });

  it("keeps what TensorRT measured, and builds on it", async () => {
    const given = prepare("timing", "tensorrt11", 0);
    const measured = (): number => {
      const bytes = readFileSync(`${given.cache}.timing`);
      return bytes.readInt32LE(bytes.indexOf("measured") + 8);
    };
    await run(given);
    expect(measured()).toBe(1);
    await run(given, "", { optimization_level: 2 });
    expect(measured()).toBe(2);
    writeFileSync(`${given.cache}.timing`, "damaged");
    const ended = await run(given, "", { optimization_level: 1 });
    expect(ended.stderr).toMatch(/Measured anew, in place of ".*timing": it is damaged/);
    expect(measured()).toBe(1);
  });

  it("makes engines for other devices, where TensorRT can", async () => {
    const given = prepare("compatible", "tensorrt10", 0);
    await run(given, "", { hardware_compatibility: "ampere_plus" });
    const text = readFileSync(given.cache).toString("latin1");
    expect(text).toContain("gpu=any\ncompute=8.0 or later\n");
    const rtx = await run(prepare("refused", "rtx", 0), "", { hardware_compatibility: "ampere_plus" });
    expect(rtx.lines.at(-1)).toMatch(
      /^failed: .*cannot use option "hardware_compatibility" with TensorRT for RTX/,
    );
  });
});

describe("trtpipe build", () => {
  it("makes the engine, and says when it fits already", async () => {
    const { cache, env } = prepare("command", "tensorrt10", 150);
    const args = ["build", model, "--max", "4", "--cache", cache];
    const first = await runChild("dist/cli.js", { args, env });
    expect(first).toMatchObject({ code: 0, lines: [expect.stringMatching(/engine\.trt built in \d/)] });
    // Nobody looks at a terminal here: lines, no bar.
    expect(first.stderr).toMatch(/^Building .*engine\.trt +\d+ %, \d+ s \w/m);
    expect(first.stderr).not.toContain("\r");
    const again = await runChild("dist/cli.js", { args, env });
    expect(again).toMatchObject({ code: 0, lines: [`${cache} fits already`], stderr: "" });
  });

  it("ends with status 2 for a key that is wrong", async () => {
    const { cache, env } = prepare("wrong", "tensorrt10", 0);
    const args = ["build", model, "--precision", "fp8", "--cache", cache];
    expect(await runChild("dist/cli.js", { args, env })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("Cannot use precision: expected") as string,
    });
  });
});
