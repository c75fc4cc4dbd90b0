/** What koffi keeps of threads that have ended, which a soak does not count as ours. */

import { once } from "node:events";
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { thisRuntime } from "../native/this-runtime.ts";
import { koffiBytes, koffiThreads } from "./counters.ts";

const THREADS = 10;

async function threads(script: string): Promise<number> {
  const before = koffiThreads();
  for (let n = 0; n < THREADS; n++) await once(new Worker(script, { eval: true }), "exit");
  return koffiThreads() - before;
}

it.skipIf(thisRuntime !== "node")("is a stack for each that called it, and nothing of others", async () => {
  const koffi = JSON.stringify(createRequire(import.meta.url).resolve("koffi"));
  // When koffi frees them, this fails, and what the soak allows for them is to go.
  expect(await threads(`require(${koffi}).load("libc.so.6").func("int abs(int)")(-1);`)).toBe(THREADS);
  expect(await threads("")).toBe(0);
  expect(koffiBytes()).toBeGreaterThanOrEqual(THREADS * 30 * 1024);
});

it.skipIf(thisRuntime === "node")("is nothing where there is no koffi", () => {
  expect(koffiBytes()).toBe(0);
});
