/** How processes end: by themselves when nothing is left to do, and never by a crash. One child for each. */

import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { runChild } from "../support/child.ts";
import type { ChildOptions, Ended } from "../support/child.ts";
import { useFaultLibrary } from "../support/fault.ts";
import { affineModel } from "../support/models.ts";

useFaultLibrary();

const env = { TEST_MODEL: Buffer.from(affineModel()).toString("base64") };

function end(scenario: string, options: ChildOptions = {}): Promise<Ended> {
  return runChild("test/support/teardown.mjs", { args: [scenario], env, ...options });
}

/** A child that ended by itself with 0, and what it had said by then. */
function fine(...lines: string[]): object {
  return { hung: false, signal: null, code: 0, lines: expect.arrayContaining(lines), stderr: "" };
}

describe.concurrent("a process ends by itself", () => {
  it.each([
    ["after close()", "close", ["open", "answered", "closed"]],
    ["without close(), when nothing is in flight", "idle", ["answered"]],
    ["without a single call", "uncalled", ["open"]],
    ["only after the answer that it waits for", "waiting", ["open", "answered"]],
    ["after loading failed", "failedLoad", ["failed TP_MODEL"]],
    ["after loading was given up", "abortedLoad", ["closed"]],
  ])("%s", async (_, scenario, lines) => {
    expect(await end(scenario)).toMatchObject(fine(...lines));
  });
});

describe.concurrent("a process ends at once, and without a crash, while work is in flight", () => {
  it("by process.exit()", async () => {
    const ended = await end("exit");
    expect(ended).toMatchObject({ hung: false, signal: null, code: 3, lines: ["running"] });
  });

  it("by an exception that nobody catches", async () => {
    const ended = await end("throws");
    expect(ended).toMatchObject({ hung: false, signal: null, code: 1, lines: ["running"] });
    expect(ended.stderr).toContain("nobody catches this");
  });

  it("by a signal", async () => {
    const ended = await end("interrupted", {
      onLine: (line, pid) => {
        if (line === "running") process.kill(pid, "SIGINT");
      },
    });
    expect(ended).toMatchObject({ hung: false, lines: ["running"] });
    expect(ended.signal === "SIGINT" || ended.code === 130).toBe(true);
  });

  it("by process.exit() with Workers that call", async () => {
    expect(await end("leftWithWorkers")).toMatchObject({ hung: false, signal: null, code: 0 });
  });
});

describe.concurrent("a process with a native call that hangs", () => {
  const given = ["failed TP_INSTANCE", "answered"];

  it.each([
    ["ends by process.exit() while it runs", "hungExit", 3, ["running", "a listener runs"]],
    ["ends by itself after it was given up", "hungEnd", 0, given],
    ["ends with the exit code that was set", "hungCode", 4, given],
    ["ends by process.exit() after all listeners", "hungLater", 5, [...given, "a later listener runs"]],
    ["ends by itself after close()", "hungClosed", 0, [...given, "closed"]],
    ["ends by itself after close() that waited for it", "hungClosing", 0, ["failed TP_INSTANCE", "closed"]],
  ])("%s", async (_, scenario, code, lines) => {
    expect(await end(scenario)).toMatchObject({ hung: false, signal: null, code, lines });
  });

  it("ends by an exception that nobody catches, which is printed", async () => {
    const ended = await end("hungThrows");
    expect(ended).toMatchObject({ hung: false, signal: null, code: 1, lines: given });
    expect(ended.stderr).toContain("nobody catches this");
  });
});

describe.concurrent("Workers that ran ONNX Runtime", () => {
  it("end by themselves", async () => {
    expect(await end("workersEnd")).toMatchObject(fine("calls: answered", "workers ended", "closed"));
  });

  it("are terminated in the middle of it", async () => {
    expect(await end("workersTerminated")).toMatchObject(fine("workers terminated", "closed"));
  });

  it("end with a pipe of their own that they never closed", async () => {
    expect(await end("ownerEnds")).toMatchObject(fine("owns: answered", "worker ended"));
  });

  it("are terminated with a pipe of their own", async () => {
    expect(await end("ownerTerminated")).toMatchObject(fine("owns: answered", "worker terminated"));
  });
});

describe.concurrent("callers whose pipe's owner is terminated", () => {
  // Deno's instance threads outlive their owner, and go on answering.
  it("are told, or answered, and the process ends", async () => {
    const ended = await end("ownerLost");
    expect(ended).toMatchObject({ hung: false, signal: null, code: 0 });
    expect(ended.lines).toContain("worker terminated");
    expect(ended.lines.at(-1)).toMatch(/^a later call (was answered|failed with TP_CLOSED)$/);
  });
});
