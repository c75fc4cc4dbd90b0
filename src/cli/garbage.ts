/** How V8 collects garbage in a process that serves. */

import { setFlagsFromString } from "node:v8";

/** In percent of what V8 would wait for by itself, which is 16 MB at this program's size. */
const MARK_AFTER_PERCENT = 400;

/**
 * V8 counts bytes outside of its heap that were made since it last marked all of the heap, and marks again
 * after 16 MB of them. Bodies of requests are such bytes: with images of 602 KB a server marked five times a
 * second, for 20 ms each. But bodies die young, and the collections that take the young take their bytes
 * along. What fills the heap itself still has its old limit.
 */
export function markLessOften(): void {
  // Bun has no V8, and Deno's flags are settled when it starts.
  if ("Bun" in globalThis || "Deno" in globalThis) return;
  setFlagsFromString(`--incremental-marking-soft-trigger=${MARK_AFTER_PERCENT}`);
}
