/**
 * Bundles the child processes, so that they start in every runtime without a loader that costs memory or
 * time.
 */

import { rm } from "node:fs/promises";
import { build } from "tsup";
import { BUNDLES } from "./run-child.ts";

const ENTRIES: Record<string, string> = {
  overhead: "bench/overhead/child.ts",
  "overhead-pool-worker": "bench/overhead/pool-worker.ts",
  "overhead-post-message-worker": "bench/overhead/post-message-worker.ts",
  "overhead-atomics-worker": "bench/overhead/atomics-worker.ts",
  models: "bench/models/child.ts",
  "models-pool-worker": "bench/models/pool-worker.ts",
  serve: "bench/serve/client.ts",
  "serve-hand-batcher": "bench/serve/hand-batcher.ts",
  idle: "bench/idle-child.ts",
};

export async function bundleChildren(): Promise<void> {
  await rm(BUNDLES, { recursive: true, force: true });
  await build({
    config: false,
    entry: ENTRIES,
    outDir: BUNDLES,
    format: "esm",
    target: "es2022",
    splitting: true,
    silent: true,
    // Packages, trtpipe among them, are loaded as a user's program loads them.
    external: ["trtpipe"],
    skipNodeModulesBundle: true,
  });
}
