/** The calling threads of a soak, and visitors that come and go with a pipe of their own. */

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { pipe } from "trtpipe";
import type { Left, Totals } from "./load.mjs";
import { passing } from "./pipes.ts";
import type { Pipes } from "./pipes.ts";

const script = new URL("worker.mjs", import.meta.url);

interface Reply {
  totals: Totals;
  left: Left;
}

/** A thread that stays for the whole soak. */
export class Resident {
  readonly #worker: Worker;
  #totals: Totals = { asked: 0, right: 0, failed: 0, wrong: 0, lost: 0 };

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  static async start(pipes: Pipes, seed: number): Promise<Resident> {
    const shared = Object.fromEntries(Object.entries(pipes).map(([name, models]) => [name, models.share()]));
    const worker = new Worker(script, { workerData: { stay: true, shared, seed } });
    await once(worker, "message");
    return new Resident(worker);
  }

  get totals(): Totals {
    return this.#totals;
  }

  /** Asks for so long, then says what it has left behind. */
  async run(runMs: number): Promise<Left> {
    this.#worker.postMessage({ runMs });
    const [{ totals, left }] = (await once(this.#worker, "message")) as [Reply];
    this.#totals = totals;
    return left;
  }

  async leave(): Promise<void> {
    const ended = once(this.#worker, "exit");
    this.#worker.postMessage({ leaves: true });
    await ended;
  }
}

const PAUSE_MS = 400;
const kinds = passing();
let visits = 0;

/** Opens pipes, lets a new thread and this one call them, and closes them, until the time is over. */
export async function comeAndGo(untilMs: number, totals: Totals): Promise<void> {
  while (performance.now() < untilMs) {
    const { config, factor, term } = kinds[visits++ % kinds.length];
    const models = await pipe(config);
    totals.asked += 20;
    const wrong = await visit({ visited: models.share() }, factor, term);
    totals.wrong += wrong;
    totals.right += 20 - wrong;
    await models.close();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** Rejects with what the visitor throws. */
async function visit(shared: object, factor: number, term: number): Promise<number> {
  const worker = new Worker(script, { workerData: { stay: false, shared, factor, term } });
  const ended = once(worker, "exit");
  const [{ wrong }] = (await once(worker, "message")) as [{ wrong: number }];
  await ended;
  return wrong;
}
