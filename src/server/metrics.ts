/** `/metrics`: the counters of all models and of the process, in Prometheus' text form. */

import { monitorEventLoopDelay } from "node:perf_hooks";
import type { IntervalHistogram } from "node:perf_hooks";
import type { PipeStats } from "../index.ts";
import type { Catalog } from "./catalog.ts";
import { Exposition } from "./exposition.ts";
import { Histogram } from "./histogram.ts";
import type { ServedModel } from "./served-model.ts";

export interface MetricsOptions {
  catalog: Catalog;
  version: string;
  connections: () => number;
  bufferedBytes: () => number;
  isReady: () => boolean;
}

const REASONS = ["full", "idle", "timeout", "drain"] as const;
const STATES = ["starting", "idle", "leading", "running", "parked", "dead"] as const;

export class Metrics {
  readonly #options: MetricsOptions;
  readonly #loop: IntervalHistogram = monitorEventLoopDelay({ resolution: 20 });
  readonly #startS = Date.now() / 1000 - process.uptime();

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#loop.enable();
  }

  end(): void {
    this.#loop.disable();
  }

  text(): string {
    const out = new Exposition();
    const models = this.#options.catalog.models();
    const stats = models.map((model): [ServedModel, PipeStats] => [model, model.stats()]);
    requests(out, models);
    batches(out, stats);
    queues(out, stats);
    this.#server(out);
    this.#process(out);
    return out.text;
  }

  #server(out: Exposition): void {
    const { catalog, version, connections, bufferedBytes, isReady } = this.#options;
    const runtime = Object.entries({ bun: "", deno: "", node: "" }).find(
      ([name]) => process.versions[name],
    )![0];
    out.family("trtpipe_info", "gauge", "Always 1; what is running is in the labels.");
    out.sample("trtpipe_info", { version, runtime }, 1);
    out.family("trtpipe_ready", "gauge", "1 when the server wants requests.");
    out.sample("trtpipe_ready", {}, isReady() ? 1 : 0);
    out.family("trtpipe_model_ready", "gauge", "1 when this version of the model can be called.");
    for (const { name, version: model, state } of catalog.entries()) {
      out.sample("trtpipe_model_ready", { model: name, version: model }, state === "READY" ? 1 : 0);
    }
    out.family("trtpipe_http_connections", "gauge", "Open connections of HTTP.");
    out.sample("trtpipe_http_connections", {}, connections());
    out.family("trtpipe_buffered_bytes", "gauge", "Request bodies that are in memory.");
    out.sample("trtpipe_buffered_bytes", {}, bufferedBytes());
  }

  #process(out: Exposition): void {
    const { rss, heapUsed, external } = process.memoryUsage();
    const cpu = process.cpuUsage();
    out.family("process_resident_memory_bytes", "gauge", "Memory of the process that is in RAM.");
    out.sample("process_resident_memory_bytes", {}, rss);
    out.family("trtpipe_heap_used_bytes", "gauge", "Memory of JavaScript objects.");
    out.sample("trtpipe_heap_used_bytes", {}, heapUsed);
    out.family(
      "trtpipe_external_memory_bytes",
      "gauge",
      "Memory outside the heap that JavaScript objects hold.",
    );
    out.sample("trtpipe_external_memory_bytes", {}, external);
    out.family("process_cpu_seconds_total", "counter", "CPU time of all threads.");
    out.sample("process_cpu_seconds_total", {}, (cpu.user + cpu.system) / 1e6);
    out.family("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.");
    out.sample("process_start_time_seconds", {}, this.#startS);
    const lag = "trtpipe_event_loop_lag_seconds";
    out.family(lag, "gauge", "How late the server's event loop was, since the last look at these numbers.");
    // Until the first measurement the histogram has no numbers.
    const seconds = (ns: number): number => (Number.isFinite(ns) && ns < 1e18 ? ns / 1e9 : 0);
    out.sample(lag, { stat: "mean" }, seconds(this.#loop.mean));
    out.sample(lag, { stat: "p99" }, seconds(this.#loop.percentile(99)));
    out.sample(lag, { stat: "max" }, seconds(this.#loop.max));
    this.#loop.reset();
  }
}

const labelsOf = ({ name, version }: ServedModel) => ({ model: name, version });

function requests(out: Exposition, models: readonly ServedModel[]): void {
  out.family("trtpipe_requests_total", "counter", "Inference requests, by what became of them.");
  for (const model of models) {
    for (const { protocol, outcome, count } of model.tally.counts.values()) {
      out.sample("trtpipe_requests_total", { ...labelsOf(model), protocol, outcome }, count);
    }
  }
  out.family("trtpipe_request_duration_seconds", "histogram", "From the request's body to its answer.");
  for (const model of models)
    out.histogram("trtpipe_request_duration_seconds", labelsOf(model), model.tally.seconds);
}

type Measured = readonly (readonly [ServedModel, PipeStats])[];

function batches(out: Exposition, measured: Measured): void {
  out.family("trtpipe_batches_total", "counter", "Batches that were run, by the reason why they went.");
  for (const [model, stats] of measured) {
    for (const reason of REASONS) {
      out.sample("trtpipe_batches_total", { ...labelsOf(model), reason }, stats.reasons[reason]);
    }
  }
  out.family("trtpipe_batch_rows", "histogram", "Rows of each batch.");
  for (const [model, stats] of measured) out.histogram("trtpipe_batch_rows", labelsOf(model), rowsOf(stats));
  const sum = (name: string, help: string, value: (stats: PipeStats) => number): void => {
    out.family(name, "counter", help);
    for (const [model, stats] of measured) out.sample(name, labelsOf(model), value(stats));
  };
  sum("trtpipe_rows_total", "Rows that were run.", ({ rows }) => rows);
  sum(
    "trtpipe_queue_seconds_total",
    "Time that rows waited for their batch to start, added up.",
    (stats) => (stats.meanWaitMs * stats.rows) / 1000,
  );
  sum(
    "trtpipe_compute_seconds_total",
    "Time that batches ran, added up.",
    (stats) => (stats.meanRunMs * stats.batches) / 1000,
  );
  sum("trtpipe_reruns_total", "Rows that were run again alone because their batch failed.", (s) => s.reruns);
  sum("trtpipe_instance_restarts_total", "Instances that were replaced.", (s) => s.instanceRestarts);
}

/** Powers of two up to the largest batch. */
function rowsOf({ sizes }: PipeStats): Histogram {
  const max = sizes.full.length - 1;
  const bounds: number[] = [];
  for (let bound = 1; bound < max; bound *= 2) bounds.push(bound);
  const histogram = new Histogram([...bounds, max]);
  for (const counts of Object.values(sizes)) {
    for (const [rows, count] of counts.entries()) if (count > 0) histogram.observe(rows, count);
  }
  return histogram;
}

function queues(out: Exposition, measured: Measured): void {
  const gauge = (
    name: string,
    help: string,
    value: (model: ServedModel, stats: PipeStats) => number,
  ): void => {
    out.family(name, "gauge", help);
    for (const [model, stats] of measured) out.sample(name, labelsOf(model), value(model, stats));
  };
  gauge("trtpipe_requests_in_flight", "Requests that wait or run.", (_, { inFlight }) => inFlight);
  gauge(
    "trtpipe_queue_rows",
    "Rows that wait or run.",
    ({ description }, { freeSlots }) => description.maxQueue - freeSlots,
  );
  gauge("trtpipe_queue_limit_rows", "Rows that may wait or run.", ({ description }) => description.maxQueue);
  out.family("trtpipe_instances", "gauge", "Instances of the model, by what they are doing.");
  for (const [model, { instances }] of measured) {
    for (const state of STATES) {
      const count = instances.filter((instance) => instance.state === state).length;
      out.sample("trtpipe_instances", { ...labelsOf(model), state }, count);
    }
  }
}
