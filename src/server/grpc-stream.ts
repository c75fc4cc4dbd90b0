/** A stream of inference requests: several run at a time, and answers go in the order of the requests. */

import type { ServerDuplexStream } from "@grpc/grpc-js";
import { failureOf } from "./failure.ts";
import type { InferMessage } from "./grpc-request.ts";

/** Requests of one stream that may run at a time; more are not read. */
const IN_FLIGHT_MAX = 64;

export type StreamCall = ServerDuplexStream<InferMessage, object>;

export class InferStream {
  readonly #call: StreamCall;
  readonly #infer: (message: InferMessage) => Promise<object>;
  readonly #failed: (error: unknown) => void;
  #inFlight = 0;
  #finishing = false;
  /** The writing of the last answer. */
  #last: Promise<void> = Promise.resolve();

  /** `infer` runs one request; what it rejects with is the answer to that request alone. */
  constructor(
    call: StreamCall,
    infer: (message: InferMessage) => Promise<object>,
    failed: (error: unknown) => void,
  ) {
    this.#call = call;
    this.#infer = infer;
    this.#failed = failed;
    call.on("data", (message: InferMessage) => this.#take(message));
    call.on("end", () => void this.finish());
    call.on("error", () => {});
  }

  /** Answers what came, and ends the stream. */
  async finish(): Promise<void> {
    if (this.#finishing) return;
    this.#finishing = true;
    await this.#last;
    this.#call.end();
  }

  #take(message: InferMessage): void {
    if (this.#finishing) return;
    this.#inFlight++;
    if (this.#inFlight >= IN_FLIGHT_MAX) this.#call.pause();
    this.#last = this.#write(this.#last, this.#answer(message));
  }

  async #answer(message: InferMessage): Promise<object> {
    const { model_name, id } = message;
    try {
      return { infer_response: await this.#infer(message) };
    } catch (error) {
      this.#failed(error);
      return { error_message: failureOf(error).message, infer_response: { model_name, id } };
    }
  }

  async #write(before: Promise<void>, answered: Promise<object>): Promise<void> {
    await before;
    const answer = await answered;
    const call = this.#call;
    if (!call.cancelled && !call.write(answer)) await drained(call);
    this.#inFlight--;
    if (this.#inFlight < IN_FLIGHT_MAX) call.resume();
  }
}

/** Until the client has read some of what was written, or is gone. */
function drained(call: StreamCall): Promise<void> {
  return new Promise((resolve) => {
    call.once("drain", resolve);
    call.once("cancelled", resolve);
  });
}
