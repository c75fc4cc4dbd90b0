/** `trtpipe bench`: how fast a model or a server answers, and how late, over the load. */

import { numberOf, UsageError } from "./arguments.ts";
import type { Figures } from "./bench/figures.ts";
import { httpTarget } from "./bench/http-target.ts";
import { closedLoop, openLoop } from "./bench/loops.ts";
import { pipeTarget } from "./bench/pipe-target.ts";
import { checkPlotPath, savePlot } from "./bench/plot.ts";
import { readShapes } from "./bench/random-input.ts";
import { loadOf, table } from "./bench/report.ts";
import type { RequestPlan, Target } from "./bench/target.ts";
import { FAILED, makeCommand, OK, type Command } from "./command.ts";
import { pipeArgs, pipeConfigOf, type PipeArgs } from "./pipe-args.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

const MAX_CLIENTS = 100_000;
const MAX_RATE = 10_000_000;

export const command: Command = makeCommand({
  name: "bench",
  about: "Measures throughput and latency of a model, or of a server, over the load",
  args: {
    model: { type: "positional", required: true, description: "path of a model, or the URL of a server" },
    clients: { type: "string", valueHint: "N,...", description: "closed loop: clients; default 1,2,4,8,16" },
    rate: { type: "string", valueHint: "R,...", description: "open loop: requests a second that arrive" },
    seconds: { type: "string", valueHint: "S", description: "measured time of each load; default 3" },
    rows: { type: "string", valueHint: "N", description: "rows of one request; default 1" },
    shape: { type: "string", valueHint: "NAME=1x3x64x64,...", description: "sizes of open dimensions" },
    timeout: { type: "string", valueHint: "MS", description: "gives a request up after that" },
    name: { type: "string", valueHint: "NAME", description: "the model at a server that has several" },
    seed: { type: "string", valueHint: "N", description: "of inputs and arrivals; default 1" },
    plot: { type: "string", valueHint: "FILE", description: "writes a picture, .svg or .png" },
    ...pipeArgs,
  },
  examples: [
    ["model.onnx --instance-num 2 --max 8", "1 to 16 clients that each wait for their answer"],
    ["model.onnx --max 8 --rate 100,200,400", "requests that arrive whether others are answered or not"],
    ["http://127.0.0.1:8000 --name resnet18 --clients 10,100", "a server, over HTTP"],
    ["model.onnx --plot load.svg --json", "a picture, and the figures for a program"],
  ],
  run: async (args, terminal) => {
    const loads = readLoads(args.clients, args.rate);
    const seed = wholeNumber("--seed", args.seed, 0, 2 ** 32 - 1) ?? 1;
    const plan: RequestPlan = {
      rows: wholeNumber("--rows", args.rows, 1, 65_536) ?? 1,
      shapes: readShapes(args.shape),
      timeoutMs: wholeNumber("--timeout", args.timeout, 1, 2 ** 31 - 1),
      seed,
    };
    const measureMs = secondsOf(args.seconds) * 1000;
    if (args.plot !== undefined) checkPlotPath(args.plot);
    const target = await open(args.model, args.name, args, plan, terminal);
    try {
      const rows = await sweep(target, loads, { measureMs, seed }, terminal);
      terminal.out(args.json ? JSON.stringify({ target: target.about, rows }, null, 2) : table(rows));
      if (args.plot !== undefined) savePlot(args.plot, target.about, rows);
      return rows.every(({ requests }) => requests > 0) ? OK : FAILED;
    } finally {
      await target.close();
    }
  },
});

interface Load {
  kind: "clients" | "rate";
  value: number;
}

function readLoads(clients: string | undefined, rate: string | undefined): Load[] {
  if (clients !== undefined && rate !== undefined) {
    throw new UsageError("--rate", "either --clients or --rate", "both");
  }
  const list = (text: string, field: string, max: number, kind: Load["kind"]): Load[] =>
    text.split(",").map((one) => ({ kind, value: numberOf(field, one, 1, max) }));
  if (rate !== undefined) return list(rate, "--rate", MAX_RATE, "rate");
  return list(clients ?? "1,2,4,8,16", "--clients", MAX_CLIENTS, "clients");
}

function wholeNumber(field: string, text: string | undefined, min: number, max: number): number | undefined {
  return text === undefined ? undefined : numberOf(field, text, min, max);
}

export function secondsOf(text: string | undefined): number {
  if (text === undefined) return 3;
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 3600) return seconds;
  throw new UsageError("--seconds", "a number above 0, at most 3600", JSON.stringify(text));
}

async function open(
  model: string,
  name: string | undefined,
  args: PipeArgs,
  plan: RequestPlan,
  { signal }: Terminal,
): Promise<Target> {
  if (/^https?:\/\//.test(model)) {
    const config = Object.keys(pipeArgs).find((key) => args[key as keyof PipeArgs] !== undefined);
    if (config !== undefined) {
      throw new UsageError(`--${config}`, "no option of a pipe, because a server is measured", "one");
    }
    return httpTarget(new URL(model), name, plan);
  }
  if (name !== undefined) throw new UsageError("--name", "the URL of a server with it", model);
  return pipeTarget(pipeConfigOf(model, args), plan, signal);
}

/** One measurement for each load, in the order given. */
async function sweep(
  target: Target,
  loads: readonly Load[],
  { measureMs, seed }: { measureMs: number; seed: number },
  terminal: Terminal,
): Promise<Figures[]> {
  const rows: Figures[] = [];
  terminal.note(target.about);
  const progress = new Progress(terminal, "measuring");
  try {
    for (const [i, { kind, value }] of loads.entries()) {
      const label = loadOf(
        kind === "clients" ? ({ clients: value } as Figures) : ({ rate: value } as Figures),
      );
      const times = {
        warmUpMs: Math.min(1000, measureMs / 2),
        measureMs,
        atLeast: kind === "clients" ? value : 1,
        signal: terminal.signal,
        tick: (fraction: number) => progress.update((i + fraction) / loads.length, label),
      };
      const closed = kind === "clients";
      rows.push(closed ? await closedLoop(target, value, times) : await openLoop(target, value, seed, times));
    }
  } finally {
    progress.end();
  }
  return rows;
}
