/**
 * Closed-loop clients: each sends its next request when its last one was answered. One loop for all
 * contenders, so that what the bench itself costs is the same for each.
 */

import { cpuMicroseconds, loopDelayMonitor, peakResidentMb } from "./process.ts";
import { percentile, Samples } from "./stats.ts";

/** What is measured: a way to send, and a way to tell whether the answer was right. */
export interface Target<A> {
  /** Sends the `turn`-th request of a client. */
  send(client: number, turn: number): Promise<A>;
  /** Whether that request was answered rightly. Called once for every answer. */
  check(client: number, turn: number, answer: A): boolean;
  /** Batches run and rows in them since the start, where the contender batches. */
  counters?(): { batches: number; rows: number };
}

export interface LoopOptions {
  clients: number;
  warmUpMs: number;
  measureMs: number;
}

/** One cell as a child process reports it. Latencies are from the call to the settled promise. */
export interface Measured {
  requests: number;
  /** Of all answers, those of the warm-up included. */
  wrong: number;
  requests_per_s: number;
  /** null where no request was sent. */
  p50_us: number | null;
  p99_us: number | null;
  loop_delay_p50_ms: number | null;
  loop_delay_p99_ms: number | null;
  loop_delay_max_ms: number | null;
  /** Peak of the whole process since its start. */
  rss_mb: number;
  mean_batch: number | null;
  cpu_us_per_request: number | null;
  /** Cores that the process used, on average. */
  cpu_cores: number;
  /** Of a server: seconds from its start to its first right answer, and cores that its clients used. */
  start_s?: number;
  client_cores?: number;
}

/**
 * Runs one cell. The warm-up lasts until its time is over and there were as many answers as there are
 * clients; then the measurement starts. Resolves when every client has its last answer.
 */
export async function closedLoop<A>(target: Target<A>, options: LoopOptions): Promise<Measured> {
  const window = new Window(() => target.counters?.() ?? { batches: 0, rows: 0 }, options);
  const client = async (index: number): Promise<void> => {
    for (let turn = 0; ; turn++) {
      const from = performance.now();
      if (from >= window.stopAt) return;
      const answer = await target.send(index, turn);
      const right = target.check(index, turn, answer);
      window.answered(from, performance.now(), right);
    }
  };
  await Promise.all(Array.from({ length: options.clients }, (_, index) => client(index)));
  return window.result();
}

/** Where the counters stood when the measurement began. */
interface Begun {
  at: number;
  cpu: number;
  batches: number;
  rows: number;
}

/** The measured stretch of time. Requests count when their answer falls into it. */
class Window {
  /** Known once the measurement began. */
  stopAt: number = Infinity;
  readonly #counters: () => { batches: number; rows: number };
  readonly #options: LoopOptions;
  readonly #warmUntil: number;
  readonly #latencies = new Samples();
  readonly #monitor = loopDelayMonitor();
  #warmUpAnswers = 0;
  #wrong = 0;
  #begun: Begun | undefined;
  #measured: Omit<Measured, "wrong"> | undefined;

  constructor(counters: () => { batches: number; rows: number }, options: LoopOptions) {
    this.#counters = counters;
    this.#options = options;
    this.#warmUntil = performance.now() + options.warmUpMs;
  }

  answered(from: number, at: number, right: boolean): void {
    if (!right) this.#wrong++;
    if (this.#measured) return;
    if (!this.#begun) {
      if (at >= this.#warmUntil && this.#warmUpAnswers >= this.#options.clients) this.#begin(at);
      else this.#warmUpAnswers++;
      return;
    }
    this.#latencies.add(at - from);
    if (at >= this.stopAt) this.#end(at, this.#begun);
  }

  #begin(at: number): void {
    this.stopAt = at + this.#options.measureMs;
    this.#begun = { at, cpu: cpuMicroseconds(), ...this.#counters() };
    this.#monitor.start();
  }

  #end(at: number, begun: Begun): void {
    const cpu = cpuMicroseconds() - begun.cpu;
    const counters = this.#counters();
    const delay = this.#monitor.stop();
    const batches = counters.batches - begun.batches;
    const requests = this.#latencies.count;
    const sorted = this.#latencies.sorted();
    this.#measured = {
      requests,
      requests_per_s: (requests / (at - begun.at)) * 1000,
      p50_us: percentile(sorted, 0.5) * 1000,
      p99_us: percentile(sorted, 0.99) * 1000,
      loop_delay_p50_ms: delay.p50,
      loop_delay_p99_ms: delay.p99,
      loop_delay_max_ms: delay.max,
      rss_mb: peakResidentMb(),
      mean_batch: batches > 0 ? (counters.rows - begun.rows) / batches : null,
      cpu_us_per_request: cpu / requests,
      cpu_cores: cpu / 1000 / (at - begun.at),
    };
  }

  result(): Measured {
    // The last answer may have come just before the end, and nobody asked again.
    if (!this.#measured && this.#begun) this.#end(performance.now(), this.#begun);
    if (!this.#measured) throw new Error("Cannot measure: no answer came after the warm-up");
    return { ...this.#measured, wrong: this.#wrong };
  }
}
