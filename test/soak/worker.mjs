/**
 * A calling thread of a soak. `stay`: asks whenever the main thread says so, until it is told to leave. Else
 * a visitor: attaches to one pipe, asks it a few times, gives its place back and ends.
 */

import process from "node:process";
import { parentPort, workerData } from "node:worker_threads";
import { attach } from "trtpipe";
import { Load } from "./load.mjs";

const { stay, shared, seed } = workerData;
const pipes = Object.fromEntries(Object.entries(shared).map(([name, one]) => [name, attach(one)]));

async function leave() {
  await Promise.all(Object.values(pipes).map((models) => models.close()));
  // Deno keeps the event loop of a Worker that exits while its module is still being awaited.
  setTimeout(() => process.exit(0), 0);
}

async function visit() {
  const { visited } = pipes;
  const elements = visited.describe().inputs[0].shape[1];
  let wrong = 0;
  for (let n = 1; n <= 20; n++) {
    const data = new Float32Array(elements).fill(0);
    data[elements - 1] = n;
    const { result } = n % 2 === 0 ? visited.sync({ data }) : await visited({ data });
    if (result.data[elements - 1] !== workerData.factor * n + workerData.term) wrong++;
  }
  parentPort.postMessage({ wrong });
  await leave();
}

if (stay) {
  const load = new Load(pipes, { seed, sync: true });
  const tell = () => parentPort.postMessage({ totals: load.totals, left: load.left() });
  parentPort.on("message", async ({ runMs, leaves }) => {
    if (leaves) return leave();
    if (runMs > 0) await load.run(runMs);
    tell();
  });
  parentPort.postMessage({ ready: true });
} else {
  void visit();
}
