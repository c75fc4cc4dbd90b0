/** One instance thread as its owner sees it. */

import { Worker } from "node:worker_threads";
import type { Successor } from "./succession.ts";

/** How long it is waited for threads that do not serve to end. */
const LEAVE_MS = 2000;

/** What the supervisor needs to know of a thread's messages. */
export interface Report {
  kind: string;
}

export interface Thread<From extends Report> extends Successor {
  readonly worker: Worker;
  /** Among all threads of the pipe. */
  readonly number: number;
  /** What somebody waits for from this thread: its next message, or its end. */
  waiter: { resolve: (report: From) => void; reject: (error: Error) => void } | null;
  /** It said that it ended on purpose. */
  closed: boolean;
  /** Why it ends, or has ended. */
  reason: string;
  /** Resolves when it has ended, or is given up. */
  readonly exited: Promise<void>;
  readonly letGo: () => void;
}

export interface ThreadEvents<From extends Report> {
  onReport(thread: Thread<From>, report: From): void;
  onExit(thread: Thread<From>): void;
}

/** Bun collects such a thread's heap after 1 MB of garbage instead of 32. Other runtimes do not know it. */
const SMALL_HEAP: object = { smol: true };

export function startThread<From extends Report>(
  url: URL,
  instance: number,
  number: number,
  events: ThreadEvents<From>,
): Thread<From> {
  const worker = new Worker(url, { name: `trtpipe instance ${instance}`, ...SMALL_HEAP });
  let letGo = (): void => {};
  const exited = new Promise<void>((resolve) => (letGo = resolve));
  const thread: Thread<From> = {
    worker,
    number,
    instance,
    ticket: 0,
    living: true,
    waiter: null,
    closed: false,
    reason: "",
    exited,
    letGo,
  };
  worker.on("message", (report: From) => events.onReport(thread, report));
  worker.on("error", (error: unknown) => {
    thread.reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  });
  worker.on("exit", (code) => {
    letGo();
    thread.reason ||= `its thread ended with code ${code}`;
    const text = `Instance ${instance} ended while it was starting: ${thread.reason}`;
    thread.waiter?.reject(new Error(text));
    thread.waiter = null;
    events.onExit(thread);
  });
  return thread;
}

/** Sends a message; resolves with the thread's next one. */
export function send<From extends Report>(thread: Thread<From>, message: unknown): Promise<From> {
  return new Promise((resolve, reject) => {
    thread.waiter = { resolve, reject };
    thread.worker.postMessage(message);
  });
}

/** Waits for threads that have nothing to finish to end. */
export async function notForLong(ended: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LEAVE_MS);
  });
  await Promise.race([late, ended]);
  clearTimeout(timer);
}
