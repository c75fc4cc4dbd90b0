/** What is drawn of a day on a GPU. */

import type { Chart } from "./bars.ts";
import { one, speed } from "./records.ts";
import type { Day, LoopRun, PipeRun } from "./records.ts";

const MODEL = "ResNet18, 3x224x224 float32 from and to host memory; NVIDIA H100, TensorRT 10.6, Node 20.";
const LOOPS =
  "C loops: full batches of 4, slots filled once. trtpipe: the reference configuration, ten clients.";
const PRECISIONS = ["fp32", "fp16"] as const;
const rate = (value: number): string =>
  value >= 1000 ? `${(value / 1000).toFixed(1)}k` : String(Math.round(value));
const ms = (value: number): string => value.toFixed(2);

/** Name of the file without its ending, and the chart. */
export function charts(day: Day): Record<string, Chart> {
  return {
    "gpu-matrix": matrix(day),
    "gpu-precisions": precisions(day),
    "gpu-lone-latency": loneLatency(day),
    "gpu-pinned": pinned(day),
    "gpu-graphs": graphs(day),
  };
}

function reference(day: Day, precision: string, more: Partial<PipeRun> = {}): PipeRun {
  const wanted = { section: "clients", precision, clients: 10, requests: 30_000, ...more };
  return one(day.pipe, wanted);
}

function loop(day: Day, precision: string, more: Partial<LoopRun> = {}): LoopRun {
  return one(day.loop, { section: "clients", precision, copy: 0, ...more });
}

function matrix({ pipe, loop: loops }: Day): Chart {
  const sizes = [1, 4, 8, 16, 32];
  const section = "matrix";
  return {
    title: "fp16 by instances and batch size",
    notes: [
      MODEL,
      "C loop: full batches of max rows, slots filled once.",
      "trtpipe: 2 x max x instance_num clients, 10 at least.",
    ],
    unit: "rows/s",
    series: ["trtpipe, one JavaScript thread", "C loop, plain"],
    panels: [1, 2, 4].map((instances) => ({
      label: `max, with instance_num: ${instances}`,
      groups: sizes.map(String),
      values: [
        sizes.map((max) => one(pipe, { section, max, instance_num: instances }).requests_per_s),
        sizes.map((rows) => speed(one(loops, { section, rows }), instances)),
      ],
    })),
    barWidth: 34,
    shown: rate,
  };
}

function precisions(day: Day): Chart {
  const torch = (contender: string): number[] =>
    PRECISIONS.map((precision) => one(day.torch, { contender, precision, batch: 4 }).rows_per_s);
  return {
    title: "The reference configuration beside a C loop and PyTorch",
    notes: [
      MODEL,
      "trtpipe: 2 instances, max 4, ten clients. C loops: 2 instances, batches of 4.",
      "PyTorch 2.11: one stream, batch 4.",
    ],
    unit: "rows/s",
    series: ["trtpipe", "C loop, plain", "C loop, copying", "PyTorch eager", "PyTorch compiled"],
    panels: [
      {
        label: "",
        groups: PRECISIONS,
        values: [
          PRECISIONS.map((precision) => reference(day, precision).requests_per_s),
          PRECISIONS.map((precision) => speed(loop(day, precision), 2)),
          PRECISIONS.map((precision) => speed(loop(day, precision, { copy: 1 }), 2)),
          torch("PyTorch eager"),
          torch("PyTorch compiled"),
        ],
      },
    ],
    barWidth: 58,
    shown: rate,
  };
}

function loneLatency({ pipe }: Day): Chart {
  const spins = [0, 100, 1000];
  const section = "latency";
  return {
    title: "A lone request by busy wait",
    notes: [MODEL, "Median of 500 requests, one after the other; one run of each."],
    unit: "p50, ms",
    series: ["spin_us (callers, instances and device)", "device_spin_us alone, spin_us 100"],
    panels: PRECISIONS.map((precision) => ({
      label: `busy wait in microseconds, ${precision}`,
      groups: spins.map(String),
      values: [
        spins.map((spin_us) => one(pipe, { section, precision, spin_us }).lone_p50_ms),
        spins.map((device_spin_us) => {
          return one(pipe, { section, precision, spin_us: 100, device_spin_us }).lone_p50_ms;
        }),
      ],
    })),
    barWidth: 46,
    shown: ms,
  };
}

function pinned(day: Day): Chart {
  const loops = (precision: string, instances: number): [number, number] => {
    const wanted = { section: "numbers", precision, copy: 0 };
    return [
      speed(one(day.loop, wanted), instances),
      speed(one(day.loop, { ...wanted, pinned_bytes: 0 }), instances),
    ];
  };
  return {
    title: "Slots that the device reads itself, and slots that are copied once more",
    notes: [MODEL, LOOPS],
    unit: "rows/s",
    series: ["pinned", "staged (pinned_bytes: 0)"],
    panels: PRECISIONS.map((precision) => {
      const pairs = [
        loops(precision, 1),
        loops(precision, 2),
        [
          reference(day, precision).requests_per_s,
          reference(day, precision, { pinned_bytes: 0 }).requests_per_s,
        ],
      ];
      return {
        label: precision,
        groups: ["C, 1 instance", "C, 2 instances", "trtpipe"],
        values: [pairs.map(([direct]) => direct), pairs.map(([, copied]) => copied)],
      };
    }),
    barWidth: 46,
    shown: rate,
  };
}

function graphs(day: Day): Chart {
  const wanted = { section: "numbers", precision: "fp16", copy: 0 };
  const without = one(day.loop, wanted);
  const launched = one(day.loop, { ...wanted, cuda_graph: 1 });
  const counts = [1, 2, 4];
  return {
    title: "Batches as CUDA graphs, fp16",
    notes: [MODEL, LOOPS],
    unit: "rows/s",
    series: ["one launch a kernel", "cuda_graph: true"],
    panels: [
      {
        label: "",
        groups: ["C, 1 instance", "C, 2 instances", "C, 4 instances", "trtpipe"],
        values: [
          [...counts.map((count) => speed(without, count)), reference(day, "fp16").requests_per_s],
          [
            ...counts.map((count) => speed(launched, count)),
            reference(day, "fp16", { cuda_graph: 1 }).requests_per_s,
          ],
        ],
      },
    ],
    barWidth: 58,
    shown: rate,
  };
}
