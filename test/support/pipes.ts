/** Opening pipes in tests so that each is closed, and waiting for things that might never come. */

import { pipe } from "trtpipe";
import type { Pipe, PipeConfig, PipeOptions } from "trtpipe";

export type Opener = (config: PipeConfig, options?: PipeOptions) => Promise<Pipe>;

/** A function that opens pipes, which `hook` (afterEach or afterAll) closes. */
export function opener(hook: (close: () => Promise<void>) => void): Opener {
  const opened: Pipe[] = [];
  hook(async () => {
    await Promise.all(opened.splice(0).map((models) => within(models.close(), "close()")));
  });
  return async (config, options) => {
    const models = await within(pipe({ log: () => {}, ...config }, options), "pipe()");
    opened.push(models);
    return models;
  };
}

const LIMIT_MS = 10_000;

/** The promise's outcome, or an error that says what did not come to an end. */
export async function within<T>(promise: Promise<T>, what: string, limitMs: number = LIMIT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `holds` does; an error that says what never came true. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 2 * LIMIT_MS;
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`Never came true: ${what}`);
    await sleep(5);
  }
}

/** The error that a promise rejects with; that it does not reject is an error, too. */
export async function rejection(promise: Promise<unknown>, what = "the promise"): Promise<Error> {
  let value: unknown;
  try {
    value = await within(promise, what);
  } catch (error) {
    if (error instanceof Error && !error.message.includes("did not end within")) return error;
    throw error;
  }
  throw new Error(`${what} resolved with ${String(value)}`);
}

export async function sleep(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Keeps this thread from its event loop. */
export function block(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}
