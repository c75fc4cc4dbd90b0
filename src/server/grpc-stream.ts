/** A stream of inference requests: several run at a time, and answers go in the order of the requests. */

import type { ServerDuplexStream } from "@grpc/grpc-js";
import { Grpc, failureOf } from "./failure.ts";
import type { InferMessage } from "./grpc-message.ts";

/** Requests of one stream that may run at a time; more are not read. */
const IN_FLIGHT_MAX = 64;

/**
 * How long after the last answer a stream is told that the server ends. A client of grpc-js forgets answers
 * that it has not handed on when such a status comes, and Deno calls what it still holds sent.
 */
const STATUS_AFTER_MS = 50;

export type StreamCall = ServerDuplexStream<InferMessage, object>;

export class InferStream {
  readonly #call: StreamCall;
  readonly #infer: (message: InferMessage) => Promise<object>;
  readonly #failed: (error: unknown) => void;
  #inFlight = 0;
  #finishing = false;
  /** The writing of the last answer, and that it has left. */
  #last: Promise<void> = Promise.resolve();
  #sent: Promise<void> = Promise.resolve();

  /** `infer` runs one request; what it rejects with is the answer to that request alone. */
  constructor(
    call: StreamCall,
    infer: (message: InferMessage) => Promise<object>,
    failed: (error: unknown) => void,
  ) {
    this.#call = call;
    this.#infer = infer;
    this.#failed = failed;
    // Each answer on its way listens for the client's leaving.
    call.setMaxListeners(0);
    call.on("data", (message: InferMessage) => this.#take(message));
    call.on("end", () => void this.#finish(() => void call.end()));
    call.on("error", () => {});
  }

  /** Answers what came. Its client may still be sending, so the stream ends with a status that says so. */
  async shutDown(): Promise<void> {
    const error = { code: Grpc.unavailable, details: "The server is shutting down" };
    await this.#finish(async () => {
      // A status does not wait for answers that are still to be sent.
      await this.#sent;
      await new Promise((resolve) => setTimeout(resolve, STATUS_AFTER_MS));
      this.#call.emit("error", error);
    });
  }

  async #finish(end: () => void | Promise<void>): Promise<void> {
    if (this.#finishing) return;
    this.#finishing = true;
    await this.#last;
    await end();
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
    if (!call.cancelled) {
      const { promise, sent } = sending(call);
      this.#sent = promise;
      if (!call.write(answer, sent)) await drained(call);
    }
    this.#inFlight--;
    if (this.#inFlight < IN_FLIGHT_MAX) call.resume();
  }
}

/** Until `sent` is called, or the client is gone. */
function sending(call: StreamCall): { promise: Promise<void>; sent: () => void } {
  let sent = (): void => {};
  const promise = new Promise<void>((resolve) => {
    sent = () => {
      call.off("cancelled", sent);
      resolve();
    };
    call.once("cancelled", sent);
  });
  return { promise, sent };
}

/** Until the client has read some of what was written, or is gone. */
function drained(call: StreamCall): Promise<void> {
  return new Promise((resolve) => {
    call.once("drain", resolve);
    call.once("cancelled", resolve);
  });
}
