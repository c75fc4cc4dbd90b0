/** One version of a model that is being served: its pipe, and what became of its requests. */

import type {
  CallOptions,
  InputValue,
  Pipe,
  PipeDescription,
  PipeInput,
  PipeStats,
  Tensor,
} from "../index.ts";
import { callerOf } from "../internal.ts";
import type { Cancel } from "./cancel.ts";
import { RequestError, failureOf } from "./failure.ts";
import { ReplyWriter } from "./infer-reply.ts";
import type { NamedTensor } from "./infer-reply.ts";
import type { InferRequest, NamedInput } from "./infer-request.ts";
import type { Spans } from "./spans.ts";
import type { Protocol, Tally } from "./tally.ts";

/** Where a request came from, and how it may end early. */
export interface Caller {
  protocol: Protocol;
  cancel: Cancel;
  /** Dropped as soon as its data is in the pipe's memory. */
  body: { drop(): void };
  /** Headers that may name a trace. Asked for only where somebody traces. */
  readonly headers: Readonly<Record<string, unknown>>;
}

const NOTHING = new Uint8Array(0);

export class ServedModel {
  readonly name: string;
  readonly version: string;
  readonly pipe: Pipe;
  readonly description: PipeDescription;
  /** The protocol's HTTP form of answers. */
  readonly replies: ReplyWriter;
  readonly #spans: Spans;
  readonly #calls: ReturnType<typeof callerOf>;
  readonly tally: Tally;

  constructor({ name, version }: { name: string; version: string }, pipe: Pipe, tally: Tally, spans: Spans) {
    this.name = name;
    this.version = version;
    this.tally = tally;
    this.pipe = pipe;
    this.description = pipe.describe();
    this.replies = new ReplyWriter({ name, version });
    this.#spans = spans;
    this.#calls = callerOf(pipe);
    // Each socket's requests come in a turn of their own.
    this.#calls.ringPerRound();
  }

  /** Of this pipe, and of those before it. */
  stats(): PipeStats {
    return this.tally.whole(this.pipe);
  }

  /** Refuses what comes, finishes what was admitted, and ends the pipe. */
  close(): Promise<void> {
    return this.tally.end(this.pipe);
  }

  /** Calls `tell` when the pipe takes no more requests. */
  whenRefused(tell: () => void): void {
    this.#calls.whenRefused(tell);
  }

  /** Counts a request that could not be read. */
  countFailure(protocol: Protocol, error: unknown, startMs: number): void {
    this.tally.count(protocol, failureOf(error).outcome, startMs);
  }

  /** Runs one request. The outputs that were asked for, in that order. */
  async infer(request: InferRequest, caller: Caller): Promise<NamedTensor[]> {
    const startMs = performance.now();
    const span = this.#spans.start(this, caller, request.id);
    try {
      this.#checkOutputs(request);
      const { result } = await this.#call(request, caller);
      this.tally.count(caller.protocol, "ok", startMs);
      span.end(undefined);
      return this.#outputs(request, result!);
    } catch (error) {
      this.countFailure(caller.protocol, error, startMs);
      span.end(error);
      throw error;
    }
  }

  #call(request: InferRequest, { cancel, body }: Caller): Promise<PipeInput> {
    cancel.throwIfCancelled();
    const input: PipeInput = { data: this.#dataOf(request.inputs) };
    try {
      return this.pipe(input, optionsOf(request));
    } finally {
      // It is copied, or refused: nobody needs the client's bytes any more.
      input.data = NOTHING;
      request.inputs = [];
      body.drop();
      cancel.listen((reason) => this.#calls.giveUp(input, reason));
    }
  }

  /** The value of the only input, or an object without a prototype: an input may have any name. */
  #dataOf(inputs: readonly NamedInput[]): PipeInput["data"] {
    const known = this.description.inputs;
    if (known.length === 1 && inputs.length === 1 && inputs[0].name === known[0].name) return inputs[0].value;
    const record = Object.create(null) as Record<string, InputValue>;
    for (const { name, value } of inputs) record[name] = value;
    return record;
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
}

function optionsOf({ timeoutMs, priority }: InferRequest): CallOptions | undefined {
  if (timeoutMs === undefined && priority === undefined) return undefined;
  return {
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
    ...(priority === undefined ? {} : { priority }),
  };
}
