/**
 * `npm run crossing [-- --runtime RUNTIME] [--requests N] [--workers N]`: very many requests from the main
 * thread and from Workers, of several sizes and element types, to several pipes at once. Every element of
 * every answer is checked. Ends with `N requests, N wrong, N lost`, and with status 1 unless nothing is wrong
 * or lost.
 */

import { Worker } from "node:worker_threads";
import { pipe } from "trtpipe";
import { affineModel } from "../support/models.ts";
import { runClients } from "./crossing-clients.mjs";
import type { NamedPipe, Totals } from "./crossing-clients.mjs";
import { Progress } from "./progress.ts";

interface Options {
  requests: number;
  workers: number;
}

/** A request that fails counts as lost: nothing here has a reason to fail. */
async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  const pipes = await openPipes(options);
  const progress = new Progress(options.requests);
  await Promise.race([runAll(pipes, options, progress), progress.silence()]);
  progress.end();
  for (const named of pipes) console.log(summary(named));
  const [wrong, failed] = [progress.sum("wrong"), progress.sum("failed")];
  const lost = options.requests - progress.sum("right") - wrong;
  if (failed > 0) console.log(`${failed} failed, one of them: ${progress.error}`);
  console.log(`${options.requests} requests, ${wrong} wrong, ${lost} lost`);
  // What is lost would keep close() waiting.
  if (lost === failed) await Promise.all(pipes.map(({ models }) => models.close()));
  return wrong === 0 && lost === 0 ? 0 : 1;
}

function readOptions(args: readonly string[]): Options {
  const known: Record<string, number> = { "--requests": 1_000_000, "--workers": 8 };
  for (let i = 0; i < args.length; i += 2) {
    const value = Number(args[i + 1]);
    if (!(args[i] in known) || !Number.isInteger(value) || value < 0) {
      console.error(`Cannot use "${args.slice(i, i + 2).join(" ")}": expected --requests N or --workers N`);
      process.exit(2);
    }
    known[args[i]] = value;
  }
  return { requests: known["--requests"], workers: known["--workers"] };
}

async function openPipes({ workers }: Options): Promise<NamedPipe[]> {
  const common = { max_callers: workers + 1, max_queue: 1024, instance_num: 2, max: 16 };
  const configs = {
    float32: { ...common, backend: "(shape=4)Identity", batching_timeout: 1 },
    uint8: { ...common, backend: "(shape=48,dtype=uint8)Identity", max: 4 },
    int64: { ...common, backend: "(shape=3,dtype=int64)Identity", instance_num: 1 },
    affine: { ...common, backend: "OnnxTensor", model: affineModel(), intra_op_threads: 1 },
  };
  return Promise.all(
    Object.entries(configs).map(async ([kind, config]) => ({ kind, models: await pipe(config) })),
  );
}

/** All threads at once, the main thread among them. */
async function runAll(pipes: readonly NamedPipe[], options: Options, progress: Progress): Promise<void> {
  const { requests, workers } = options;
  const share = Math.floor(requests / (workers + 1));
  const threads = Array.from({ length: workers }, (_, i) => runWorker(pipes, i + 1, share, progress));
  const report = (totals: Totals): void => progress.report(0, totals);
  await Promise.all([runClients(pipes, 0, requests - share * workers, report), ...threads]);
}

function runWorker(
  pipes: readonly NamedPipe[],
  thread: number,
  requests: number,
  progress: Progress,
): Promise<void> {
  const shared = pipes.map(({ kind, models }) => ({ kind, pipe: models.share() }));
  const worker = new Worker(new URL("crossing-worker.mjs", import.meta.url), {
    workerData: { shared, thread, requests },
  });
  worker.on("message", (totals: Totals) => progress.report(thread, totals));
  return new Promise((resolve, reject) => {
    worker.on("error", reject);
    worker.on("exit", () => resolve());
  });
}

function summary({ kind, models }: NamedPipe): string {
  const { batches, rows, meanBatch, reasons, staleCompletions } = models.stats();
  const why = Object.entries(reasons).map(([reason, count]) => `${count} ${reason}`);
  const sent = `${rows} rows in ${batches} batches of ${meanBatch.toFixed(2)}`;
  return `${kind}: ${sent} (${why.join(", ")}), ${staleCompletions} stale`;
}

process.exit(await main(process.argv.slice(2)));
