/** One thread of the simulation: plays its part in seed after seed. */

import { parentPort, workerData } from "node:worker_threads";
import { useAtomics } from "../../src/memory/atomics.ts";
import { SimulatedAtomics } from "./atomics.ts";
import { Books } from "./books.ts";
import { CallerThread } from "./caller.ts";
import { enter, here, replaceGlobals } from "./here.ts";
import { Instance } from "./instance.ts";
import { Loop } from "./loop.ts";
import { Oracle } from "./oracle.ts";
import { Owner } from "./owner.ts";
import { isSeat, makePlan, threadsOf } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { Quiet } from "./quiet.ts";
import { Rows } from "./rows.ts";
import { Stage } from "./stage.ts";
import type { StageBuffers } from "./stage.ts";
import { Word } from "./world-layout.ts";
import { WordNames } from "./words.ts";
import { Ended, Over, World } from "./world.ts";

export interface ThreadData {
  me: number;
  world: SharedArrayBuffer;
  books: SharedArrayBuffer;
  stage: StageBuffers;
}

const data = workerData as ThreadData;
const world = new World(data.world, data.me);
const books = new Books(data.books);
let quiet: Quiet | null = null;

function newLoop(): Loop {
  const loop = new Loop(world);
  enter({ world, loop, books });
  return loop;
}

/** Sets this thread up for a seed. */
function prepare(plan: Plan): Stage {
  const stage = new Stage(data.stage, plan);
  const rows = new Rows(world, stage, books);
  const names = new WordNames(stage);
  const oracle = new Oracle(world, stage, books, rows, names);
  useAtomics(new SimulatedAtomics(world, names, oracle, { onFired: (fired) => here().loop.onFired(fired) }));
  quiet = new Quiet(world, stage, books, rows);
  world.plan = plan;
  world.mortal = false;
  world.onQuiet = quiet.check;
  return stage;
}

async function play(stage: Stage): Promise<void> {
  const { plan } = stage;
  const loop = newLoop();
  if (world.me === 0) return loop.run(() => new Owner(world, loop, stage, books).play());
  if (isSeat(plan, world.me)) return new Instance(world, stage, books).play();
  const kind = plan.callers[world.me - 1 - plan.shape.instances];
  return new CallerThread(world, stage, books, newLoop).play(kind);
}

/** Clears everything for the next seed and lets it begin; or ends, after the last one. */
function begin(seed: number): void {
  const { words } = world;
  if (seed > words[Word.seedLast]) {
    words[Word.over] = Over.seeds;
    return world.release();
  }
  const plan = makePlan(seed);
  const threads = threadsOf(plan);
  new Stage(data.stage, plan).clear();
  books.clear();
  books.callersLeft = plan.callers.length;
  world.begin(plan, threads);
  world.start();
}

async function main(): Promise<void> {
  const { words } = world;
  if (world.me === 0) begin(words[Word.seed]);
  for (;;) {
    world.awaitTurn();
    if (words[Word.over] !== Over.no) return;
    await play(prepare(makePlan(words[Word.seed])));
    if (!world.leave()) continue;
    quiet?.finish();
    words[Word.seedsDone]++;
    begin(words[Word.seed] + words[Word.seedStride]);
  }
}

/** Whatever the code under test throws where it must not is a broken promise. */
function broken(error: unknown): void {
  if (error instanceof Ended) return;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  try {
    world.fail(`thread ${world.me} threw ${text.slice(0, 300)}`);
  } catch {
    // It is said; this thread ends too.
  }
}

replaceGlobals();
for (const event of ["unhandledRejection", "uncaughtException"]) {
  process.on(event, (error: unknown) => {
    // Nobody waits any more for what a dead thread had promised.
    if (!world.isDead) broken(error);
  });
}
try {
  await main();
} catch (error) {
  broken(error);
}
parentPort?.postMessage("over");
