/** `npm run soak`, short: a mixed load leaves nothing behind, and a leak on purpose is noticed. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { thisRuntime } from "../native/this-runtime.ts";
import { root } from "../tidy/sources.ts";

interface Runtimes {
  fileCommand(
    runtime: string,
    file: string,
    args: readonly string[],
    options: { collects: boolean },
  ): [string, string[]];
}

/** The scripts are plain JavaScript, which TypeScript does not look into. */
const { fileCommand } = (await import(join(root, "scripts", "runtimes.mjs"))) as Runtimes;

async function soak(...args: string[]): Promise<{ status: number | null; output: string }> {
  const [command, flags] = fileCommand(thisRuntime, "test/soak/main.ts", args, { collects: true });
  const child = spawn(command, flags, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { status, output };
}

it("loses nothing, gets nothing wrong and keeps nothing", async () => {
  const { status, output } = await soak("--seconds", "12");
  expect(output).toMatch(/\d{4,} requests, .* 0 wrong, 0 lost; .*: passed\n$/);
  expect(status).toBe(0);
}, 120_000);

it.each(["handle", "slot"])(
  "notices a leak on purpose: %s",
  async (leak) => {
    const { status, output } = await soak("--seconds", "5", "--leak", leak);
    expect(output).toMatch(
      new RegExp(`\\n${leak}: noticed, ${leak}s were \\d+ and are \\d+ after \\d+ s\\n$`),
    );
    expect(status).toBe(0);
  },
  120_000,
);

it("says what it does not understand", async () => {
  const { status, output } = await soak("--leak", "nothing");
  expect(output).toContain('Cannot use "--leak nothing": expected --minutes N');
  expect(status).toBe(2);
}, 60_000);
