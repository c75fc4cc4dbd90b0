/** Workers that call a pipe, told what to do from the test. */

import { Worker } from "node:worker_threads";
import type { CallOptions, InputData, PipeDescription, PipeStats, SharedPipe, Tensor } from "trtpipe";
import { within } from "./pipes.ts";

interface Reply {
  id?: number;
  begun?: number;
  value?: unknown;
  error?: { name: string; code: string; message: string };
}

type Result = Tensor | Readonly<Record<string, Tensor>>;

/** What a watcher of reloads has seen. */
export interface Watched {
  answers: number;
  wrong: number;
  failed: number;
  errors: readonly string[];
}

interface Operations {
  attach: [SharedPipe, PipeDescription];
  call: [InputData[], Result[]];
  sync: [InputData[], Result[]];
  syncWith: [{ data: InputData; options: CallOptions }, Result[]];
  syncBehind: [{ data: InputData; calls: number; waitMs: number }, Result[]];
  settle: [number, Result[]];
  clients: [{ count: number; requests: number; rowsMax: number; first: number }, number];
  watch: [{ count: number; words: readonly number[]; bounds: Int32Array }, Watched];
  describe: [undefined, PipeDescription];
  stats: [undefined, PipeStats];
  close: [undefined, void];
  exit: [undefined, void];
}

export class CallerThread {
  readonly #worker = new Worker(new URL("caller-thread.mjs", import.meta.url));
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #begun = new Map<number, () => void>();
  readonly exited: Promise<void>;
  #id = 0;

  constructor() {
    this.#worker.on("message", (reply: Reply) => {
      if (reply.begun !== undefined) this.#begun.get(reply.begun)?.();
      else if (reply.id !== undefined) this.#waiting.get(reply.id)?.(reply);
    });
    this.exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
  }

  /** Does one thing there. Rejects with what it threw: `name`, `code` and `message`, no class. */
  async ask<K extends keyof Operations>(
    operation: K,
    argument: Operations[K][0],
    limitMs?: number,
  ): Promise<Operations[K][1]> {
    const id = ++this.#id;
    const reply = await within(
      new Promise<Reply>((resolve) => {
        this.#waiting.set(id, resolve);
        this.#worker.postMessage({ id, operation, argument });
      }),
      `"${operation}" in a Worker`,
      limitMs,
    );
    if (reply.error) throw Object.assign(new Error(reply.error.message), reply.error);
    return reply.value as Operations[K][1];
  }

  /** Begins a call there and keeps that thread busy; resolves when it was made. `ask("settle", id)` waits. */
  async begin(id: number, data: InputData, blockMs: number): Promise<void> {
    const begun = new Promise<void>((resolve) => this.#begun.set(id, resolve));
    this.#worker.postMessage({ id: -1, operation: "begin", argument: { id, data, blockMs } });
    await within(begun, "the begin of a call in a Worker");
  }

  /** Lets the thread end from within. */
  async exit(): Promise<void> {
    this.#worker.postMessage({ id: -1, operation: "exit" });
    await within(this.exited, "the end of a Worker");
  }

  async terminate(): Promise<void> {
    await within(this.#worker.terminate(), "terminate() of a Worker");
  }
}

/** A thread that has attached; `hook` terminates it. */
export function callers(
  hook: (end: () => Promise<void>) => void,
): (shared?: SharedPipe) => Promise<CallerThread> {
  const threads: CallerThread[] = [];
  hook(async () => {
    await Promise.all(threads.splice(0).map((thread) => thread.terminate()));
  });
  return async (shared) => {
    const thread = new CallerThread();
    threads.push(thread);
    if (shared !== undefined) await thread.ask("attach", shared);
    return thread;
  };
}
