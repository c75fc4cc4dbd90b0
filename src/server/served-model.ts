/** One version of a model that is being served: its pipe, and what became of its requests. */

import type { CallOptions, Pipe, PipeDescription, PipeInput, Tensor } from "../index.ts";
import { callerOf } from "../internal.ts";
import type { Cancel } from "./cancel.ts";
import { RequestError, failureOf } from "./failure.ts";
import type { Outcome } from "./failure.ts";
import type { InferRequest } from "./infer-request.ts";
import type { NamedTensor } from "./infer-reply.ts";
import { Histogram } from "./histogram.ts";
import type { Spans } from "./spans.ts";

/** Seconds: from a request's body being there to its answer. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export type Protocol = "http" | "grpc";

/** Where a request came from, and how it may end early. */
export interface Caller {
  protocol: Protocol;
  cancel: Cancel;
  /** Dropped as soon as its data is in the pipe's memory. */
  body: { drop(): void };
  /** Headers that may name a trace. Asked for only where somebody traces. */
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface OutcomeCount {
  protocol: Protocol;
  outcome: Outcome;
  count: number;
}

const NOTHING = new Uint8Array(0);

export class ServedModel {
  readonly name: string;
  readonly version: string;
  readonly pipe: Pipe;
  readonly description: PipeDescription;
  /** How every answer in JSON begins. */
  readonly replyHead: string;
  readonly #spans: Spans;
  readonly #calls: ReturnType<typeof callerOf>;
  readonly counts: Map<string, OutcomeCount> = new Map();
  readonly seconds: Histogram = new Histogram(SECONDS);
  /** Sum of what requests that were answered, and others, took. */
  successMs = 0;
  failMs = 0;
  lastInferenceMs = 0;

  constructor(name: string, version: string, pipe: Pipe, spans: Spans) {
    this.name = name;
    this.version = version;
    this.pipe = pipe;
    this.description = pipe.describe();
    this.replyHead = `{"model_name":${JSON.stringify(name)},"model_version":${JSON.stringify(version)},`;
    this.#spans = spans;
    this.#calls = callerOf(pipe);
    // Each socket's requests come in a turn of their own.
    this.#calls.ringPerRound();
  }

  /** Runs one request. The outputs that were asked for, in that order. */
  async infer(request: InferRequest, caller: Caller): Promise<NamedTensor[]> {
    const startMs = performance.now();
    const span = this.#spans.start(this, caller, request.id);
    try {
      this.#checkOutputs(request);
      const { result } = await this.#call(request, caller);
      this.#count(caller.protocol, "ok", startMs);
      span.end(undefined);
      return this.#outputs(request, result!);
    } catch (error) {
      const { outcome } = failureOf(error);
      this.#count(caller.protocol, outcome, startMs);
      span.end(error);
      throw error;
    }
  }

  #call(request: InferRequest, { cancel, body }: Caller): Promise<PipeInput> {
    cancel.throwIfCancelled();
    const input: PipeInput = { data: request.inputs };
    try {
      return this.pipe(input, optionsOf(request));
    } finally {
      // It is copied, or refused: nobody needs the client's bytes any more.
      input.data = NOTHING;
      request.inputs = {};
      body.drop();
      cancel.listen((reason) => this.#calls.giveUp(input, reason));
    }
  }

  #checkOutputs({ outputs }: InferRequest): void {
    const known = this.description.outputs;
    const unknown = outputs?.find(({ name }) => !known.some((output) => output.name === name));
    if (unknown === undefined) return;
    const names = known.map(({ name }) => `"${name}"`).join(", ");
    const got = JSON.stringify(unknown.name.slice(0, 60));
    throw new RequestError(400, `Cannot answer with output ${got}: expected a name of the model's, ${names}`);
  }

  #outputs(request: InferRequest, result: NonNullable<PipeInput["result"]>): NamedTensor[] {
    const known = this.description.outputs;
    const names = (request.outputs ?? known).map(({ name }) => name);
    if (known.length === 1) return names.map((name) => [name, result as Tensor]);
    return names.map((name) => [name, (result as Readonly<Record<string, Tensor>>)[name]]);
  }

  #count(protocol: Protocol, outcome: Outcome, startMs: number): void {
    const key = `${protocol} ${outcome}`;
    let entry = this.counts.get(key);
    if (entry === undefined) this.counts.set(key, (entry = { protocol, outcome, count: 0 }));
    entry.count++;
    const ms = performance.now() - startMs;
    this.seconds.observe(ms / 1000);
    if (outcome === "ok") {
      this.successMs += ms;
      this.lastInferenceMs = Date.now();
    } else this.failMs += ms;
  }

  /** Requests that were answered, and those that were not. */
  get answered(): number {
    return this.#sum((outcome) => outcome === "ok");
  }

  get unanswered(): number {
    return this.#sum((outcome) => outcome !== "ok");
  }

  #sum(counts: (outcome: Outcome) => boolean): number {
    let sum = 0;
    for (const { outcome, count } of this.counts.values()) if (counts(outcome)) sum += count;
    return sum;
  }
}

function optionsOf({ timeoutMs, priority }: InferRequest): CallOptions | undefined {
  if (timeoutMs === undefined && priority === undefined) return undefined;
  return {
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
    ...(priority === undefined ? {} : { priority }),
  };
}
