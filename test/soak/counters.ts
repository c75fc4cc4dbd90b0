/**
 * What a process holds: the counters that a soak compares at quiescent points. Linux: they are read in
 * /proc.
 */

import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { loadNative } from "../../src/native/load.ts";

export const COUNTERS = ["handles", "slots", "threads", "fds", "children", "listeners"] as const;
export type Counter = (typeof COUNTERS)[number];
export type Counters = Readonly<Record<Counter, number>>;

const native = loadNative();

/** Those that belong to the whole process; slots and listeners are each thread's own. */
export function processCounters(): Omit<Counters, "slots" | "listeners"> {
  return {
    handles: native.handleCount(),
    threads: threads(),
    fds: [...openFiles().values()].reduce((sum, count) => sum + count, 0),
    children: children(),
  };
}

/**
 * Threads of the runtime's own pools, which it starts and ends as it likes (V8 and tokio; JavaScriptCore).
 */
const POOL =
  /^(V8 |tokio-|JITWorker|HeapHelper|JSCWarmUp|mi-scavenger|Bun Pool|s Signal Sender|ollector Thread)/;

function threads(): number {
  return sumOverThreads((folder) => (POOL.test(readFileSync(`${folder}/comm`, "utf8")) ? 0 : 1));
}

function children(): number {
  return sumOverThreads((folder) => {
    const list = readFileSync(`${folder}/children`, "utf8").trim();
    return list === "" ? 0 : list.split(" ").length;
  });
}

/**
 * What event loops wait with. Deno lets go of them when it likes; whose thread has ended shows in `threads`.
 */
const LOOP = /^anon_inode:\[event(poll|fd)\]$/;

/** Open files by what they are. */
export function openFiles(): ReadonlyMap<string, number> {
  const kinds = new Map<string, number>();
  for (const fd of readdirSync("/proc/self/fd")) {
    const kind = kindOf(`/proc/self/fd/${fd}`);
    if (!LOOP.test(kind)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return kinds;
}

function kindOf(path: string): string {
  try {
    return readlinkSync(path).replace(/\d+/g, "#");
  } catch {
    return "closed meanwhile";
  }
}

function sumOverThreads(count: (folder: string) => number): number {
  return readdirSync("/proc/self/task").reduce((sum, thread) => {
    try {
      return sum + count(`/proc/self/task/${thread}`);
    } catch {
      // That thread has just ended.
      return sum;
    }
  }, 0);
}

/** Bytes of this process that are in memory. */
export function rssBytes(): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return Number(kib) * 1024;
}

/**
 * What koffi 3.3 keeps of each thread that ever loaded it, since it never frees what it has per thread:
 * 23 KiB of the heap, and three mappings with few pages in use, together 30 KiB of RSS (measured over 150
 * threads).
 */
const KOFFI_THREAD_BYTES = 30 * 1024;

/** Bytes in memory that are koffi's, of threads that live and of those that have ended; 0 without it. */
export function koffiBytes(): number {
  return native.binding === "koffi" ? koffiThreads() * KOFFI_THREAD_BYTES : 0;
}

/** What a stack of koffi's has beside its guard page: the 2 MiB and another page. */
const KOFFI_STACK_BYTES = 2 * 2 ** 20 + 4096;

/** Threads that have called koffi, counted by the stacks that it calls on. */
export function koffiThreads(): number {
  const guarded = readFileSync("/proc/self/maps", "utf8").matchAll(
    /^\w+-(\w+) ---p 0+ 00:00 0 *\n\1-(\w+) rw-p 0+ 00:00 0 *$/gm,
  );
  const sizes = Array.from(guarded, ([, from, to]) => Number(`0x${to}`) - Number(`0x${from}`));
  return sizes.filter((bytes) => bytes === KOFFI_STACK_BYTES).length;
}

/** Bytes of this thread's heap that are in use, after everything that can be collected was. */
export async function heapBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

function collect(): void {
  const { gc, Bun } = globalThis as { gc?: () => void; Bun?: { gc(wait: boolean): void } };
  if (Bun !== undefined) Bun.gc(true);
  else if (gc !== undefined) gc();
  else
    throw new Error("Cannot collect garbage: expected a runtime with --expose-gc, as npm run soak starts it");
}
