/** One calling thread of crossing.ts: see there. Plain JavaScript, which every runtime starts as a Worker. */

import { parentPort, workerData } from "node:worker_threads";
import { attach } from "trtpipe";
import { runClients } from "./crossing-clients.mjs";

const { shared, thread, requests } = workerData;
const pipes = shared.map(({ kind, pipe }) => ({ kind, models: attach(pipe) }));
await runClients(pipes, thread, requests, (totals) => parentPort.postMessage(totals));
await Promise.all(pipes.map(({ models }) => models.close()));
