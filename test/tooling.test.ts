/** The scripts behind `npm start` and `npm test`, as far as they can be tried without a fresh machine. */

import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { root } from "./tidy/sources.ts";

interface Scripts {
  buildLibrary(preset: string): Promise<void>;
  takeOption(args: readonly string[], name: string): [string | undefined, string[]];
  takeRuntime(args: readonly string[]): [string | undefined, string[]];
  run(
    command: string,
    args: readonly string[],
    options?: object,
  ): Promise<{ status: number; output: string }>;
}

/** The scripts are plain JavaScript, which TypeScript does not look into. */
async function load(name: string): Promise<Scripts> {
  return (await import(join(root, "scripts", name))) as Scripts;
}

const { buildLibrary } = await load("setup.mjs");
const { takeOption, takeRuntime } = await load("runtimes.mjs");
const { run } = await load("run.mjs");

const path = process.env.PATH;

afterEach(() => {
  process.env.PATH = path;
});

it("says what to install where CMake and a C compiler are missing", async () => {
  process.env.PATH = "/nowhere";
  const advice = /not found. Install with\n[^]*apt-get install cmake make gcc[^]*dnf install[^]*xcode-select/;
  await expect(buildLibrary("release")).rejects.toThrow(
    /^Cannot build the C library: CMake and a C compiler/,
  );
  await expect(buildLibrary("release")).rejects.toThrow(advice);
});

describe("takeOption()", () => {
  it("takes a value in both spellings and leaves the rest", () => {
    expect(takeOption(["a", "--only", "x", "b"], "only")).toEqual(["x", ["a", "b"]]);
    expect(takeOption(["a", "--only=x", "b"], "only")).toEqual(["x", ["a", "b"]]);
    expect(takeOption(["--onlyx", "b"], "only")).toEqual([undefined, ["--onlyx", "b"]]);
  });

  it("refuses an option without its value, and a runtime that it does not know", () => {
    expect(() => takeOption(["--only"], "only")).toThrow("Cannot use --only: expected a value after it");
    expect(() => takeRuntime(["--runtime", "browser"])).toThrow('expected node, bun, deno, got "browser"');
  });
});

describe("run()", () => {
  it("gives a program's status and all it printed", async () => {
    const { status, output } = await run("sh", ["-c", "echo out; echo err >&2; exit 3"]);
    expect(status).toBe(3);
    expect(output).toContain("out\n");
    expect(output).toContain("err\n");
  });

  it("answers with 127 for a program that is not there", async () => {
    expect((await run("no-such-program", [])).status).toBe(127);
  });

  it("ends a program that takes too long, with what it started", async () => {
    const startMs = performance.now();
    const { status, output } = await run("sh", ["-c", "sleep 60 & sleep 60"], { limitS: 1 });
    expect(status).toBe(128 + 9);
    expect(output).toContain("ended after 1 s");
    expect(performance.now() - startMs).toBeLessThan(20_000);
  });
});
