/** An instance thread that dies when a row says so: see dying-worker-hooks.mjs, which has to come first. */

await import("./dying-worker-hooks.mjs");
await import("../../dist/worker.js");
