/** One set of simulation threads that plays seeds one after the other. */

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { Books } from "./books.ts";
import { THREADS } from "./plan.ts";
import { makeStageBuffers } from "./stage.ts";
import type { ThreadData } from "./thread.ts";
import { Word } from "./world-layout.ts";
import { Over, World } from "./world.ts";

/** A seed that makes no access for so long hangs in a loop without any. */
const HANG_MS = 10_000;

export interface Seeds {
  first: number;
  last: number;
  stride: number;
}

export interface Found {
  seed: number;
  violation: string;
  trace: readonly string[];
}

export class Group {
  readonly #world: World;
  readonly #workers: Worker[];
  readonly #over: Promise<void>;
  #stop: () => void = () => {};

  /** Runs what `writeAll` has put into `folder`. */
  constructor(folder: string, seeds: Seeds, tracing = false) {
    const buffer = World.makeBuffer();
    this.#world = new World(buffer, 0);
    const { words } = this.#world;
    words[Word.seed] = seeds.first;
    words[Word.seedLast] = seeds.last;
    words[Word.seedStride] = seeds.stride;
    words[Word.tracing] = tracing ? 1 : 0;
    const [books, stage] = [Books.makeBuffer(), makeStageBuffers()];
    const url = pathToFileURL(join(folder, "test/simulate/thread.js"));
    this.#workers = Array.from({ length: THREADS }, (_, me) => {
      const workerData: ThreadData = { me, world: buffer, books, stage };
      return new Worker(url, { workerData, execArgv: [] });
    });
    this.#over = Promise.all(this.#workers.map(ended)).then(() => undefined);
  }

  get seedsDone(): number {
    return this.#world.words[Word.seedsDone];
  }

  get digest(): number {
    return this.#world.words[Word.digest];
  }

  /** The first broken promise, or null when all seeds are done. */
  async run(): Promise<Found | null> {
    const hang = this.#watch();
    let stopped = false;
    const stop = new Promise<void>((resolve) => {
      this.#stop = () => {
        stopped = true;
        resolve();
      };
    });
    try {
      await Promise.race([this.#over, hang.found, stop]);
    } finally {
      hang.end();
      await Promise.all(this.#workers.map((worker) => worker.terminate()));
    }
    const { words } = this.#world;
    if (words[Word.over] === Over.seeds || (stopped && words[Word.over] === Over.no)) return null;
    const violation = this.#world.notes.violation || "a thread makes no access any more, and does not end";
    return { seed: words[Word.seed], violation, trace: this.#world.notes.steps };
  }

  /** Ends it early; what it has found is still told. */
  stop(): void {
    this.#stop();
  }

  #watch(): { found: Promise<void>; end: () => void } {
    let last = "";
    let sinceMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const found = new Promise<void>((resolve) => {
      timer = setInterval(() => {
        const { words } = this.#world;
        const now = `${words[Word.seed]} ${words[Word.steps]}`;
        if (now !== last) sinceMs = performance.now();
        last = now;
        if (performance.now() - sinceMs > HANG_MS) resolve();
      }, 500);
    });
    return { found, end: () => clearInterval(timer) };
  }
}

function ended(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
}
