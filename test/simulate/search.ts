/** Plays many seeds with several groups of threads at once, until one of them breaks a promise. */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeAll } from "./build.ts";
import type { Sources } from "./build.ts";
import { Group } from "./group.ts";
import type { Found } from "./group.ts";

const build = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "build");

export interface Range {
  first: number;
  count: number;
  /** Groups that play at once. */
  groups: number;
}

/** Hands `body` a folder with these sources, and removes it afterwards. */
export async function withFolder<T>(sources: Sources, body: (folder: string) => Promise<T>): Promise<T> {
  mkdirSync(build, { recursive: true });
  const folder = mkdtempSync(join(build, "simulate-"));
  try {
    writeAll(sources, folder);
    return await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The broken promise of the lowest seed that was found, or null. `onProgress` is told the seeds so far. */
export async function search(
  folder: string,
  { first, count, groups }: Range,
  onProgress: (seedsDone: number) => void = () => {},
): Promise<Found | null> {
  const last = first + count - 1;
  const playing = Array.from(
    { length: Math.min(groups, count) },
    (_, k) => new Group(folder, { first: first + k, last, stride: groups }),
  );
  const timer = setInterval(
    () => onProgress(playing.reduce((sum, { seedsDone }) => sum + seedsDone, 0)),
    200,
  );
  const found: Found[] = [];
  try {
    await Promise.all(
      playing.map(async (group) => {
        const violation = await group.run();
        if (violation === null) return;
        found.push(violation);
        for (const other of playing) other.stop();
      }),
    );
  } finally {
    clearInterval(timer);
  }
  return found.toSorted((a, b) => a.seed - b.seed)[0] ?? null;
}

/** One seed once more, with a trace; what tells its run from others comes too. */
export async function replay(folder: string, seed: number): Promise<{ found: Found | null; digest: number }> {
  const group = new Group(folder, { first: seed, last: seed, stride: 1 }, true);
  const found = await group.run();
  return { found, digest: group.digest };
}
