/**
 * Messages of gRPC as they come. grpc-js joins the pieces of each, which costs a large one a copy and its
 * memory once more, and counts none of them. Here they stay as they are, and count as bodies of HTTP do.
 */

import { Readable } from "node:stream";
import type { ServerInterceptor } from "@grpc/grpc-js";
import { Body, readBody, tooLarge } from "./body.ts";
import { LOOK_EVERY_MS } from "./connections.ts";
import { Grpc, RequestError, failureOf } from "./failure.ts";
import type { Budget, Limits } from "./limits.ts";

/** In front of each message: a byte that is 1 if it is compressed, and its length. */
const PREFIX_BYTES = 5;

/** A message in its pieces. Whoever has used them drops it. */
export class Message {
  readonly chunks: readonly Uint8Array[];
  readonly #isCompressed: boolean;
  readonly #drop: () => void;

  constructor(chunks: readonly Uint8Array[], isCompressed: boolean, drop: () => void) {
    this.chunks = chunks;
    this.#isCompressed = isCompressed;
    this.#drop = drop;
  }

  /** What grpc-js asks a message for: its first byte. */
  readUInt8(): number {
    return this.#isCompressed ? 1 : 0;
  }

  /** Gives its memory back. May be called more than once. */
  drop(): void {
    this.#drop();
  }

  /** Its bytes in one piece; it is dropped. */
  join(): Buffer {
    const joined = Buffer.concat(this.chunks);
    this.drop();
    return joined;
  }
}

/** What a call of grpc-js has and does not show, so a version of it may have it elsewhere. */
interface BaseCall {
  decoder: { write(data: Buffer): unknown[] };
  decompressMessage(message: Message, encoding: string): unknown;
  stream: Readable;
  sendStatus(status: { code: number; details: string }): void;
}

/** The messages of all calls of a server. */
export class Messages {
  readonly #budget: Budget;
  readonly #limits: Limits;
  readonly #calls = new Set<CallBodies>();
  readonly #timer: NodeJS.Timeout;
  #failed: (() => void) | null;

  /** `failed` is called once if this grpc-js keeps elsewhere what is needed. */
  constructor(budget: Budget, limits: Limits, failed: () => void) {
    this.#budget = budget;
    this.#limits = limits;
    this.#failed = failed;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** For a server of grpc-js. Nothing is done around its calls, so they do for ones that wrap them. */
  readonly interceptor: ServerInterceptor = ({ requestStream }, call) => {
    const base = call as unknown as BaseCall;
    if (isBaseCall(base)) this.#takeOver(base, requestStream);
    else this.#tellOnce();
    return call as ReturnType<ServerInterceptor>;
  };

  destroy(): void {
    clearInterval(this.#timer);
  }

  #takeOver(call: BaseCall, isStream: boolean): void {
    const bodies = new CallBodies(call, isStream, this.#budget, this.#limits);
    call.decoder = bodies;
    call.decompressMessage = (message, encoding) => bodies.decompress(message, encoding);
    this.#calls.add(bodies);
    call.stream.once("close", () => {
      this.#calls.delete(bodies);
      bodies.end();
    });
  }

  #tellOnce(): void {
    this.#failed?.();
    this.#failed = null;
  }

  #look(): void {
    const nowMs = performance.now();
    for (const bodies of this.#calls) bodies.look(nowMs);
  }
}

function isBaseCall(call: Partial<BaseCall>): call is BaseCall {
  return (
    typeof call.decoder?.write === "function" &&
    typeof call.decompressMessage === "function" &&
    call.stream instanceof Readable
  );
}

/** The messages of one call, from the wire until their bytes are used or the call ends. */
class CallBodies {
  readonly #call: BaseCall;
  readonly #isStream: boolean;
  readonly #budget: Budget;
  readonly #limits: Limits;
  readonly #bodies = new Set<Body>();
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  /** Bytes of the message that is being read which are still to come, and what came. */
  #left = 0;
  #body: Body | null = null;
  /** Since when a client has been sending, and what came since; Infinity: nothing is waited for. */
  #sinceMs: number;
  #received = 0;
  #ended = false;

  /** Of a stream each message has its own time, and there may be any time between two. */
  constructor(call: BaseCall, isStream: boolean, budget: Budget, limits: Limits) {
    this.#call = call;
    this.#isStream = isStream;
    this.#sinceMs = isStream ? Infinity : performance.now();
    this.#budget = budget;
    this.#limits = limits;
  }

  /** Reads what came next, and returns the messages that it ends. */
  write(data: Buffer): Message[] {
    if (this.#ended) return [];
    const messages: Message[] = [];
    try {
      for (let at = 0; at < data.length;) at = this.#read(data, at, messages);
    } catch (error) {
      this.#refuse(error);
      return [];
    }
    return messages;
  }

  /** Ends the call if its client is too slow. */
  look(nowMs: number): void {
    const { transferMs, transferBytesPerS } = this.#limits;
    const overMs = nowMs - this.#sinceMs - transferMs;
    if (overMs <= 0 || this.#ended || this.#call.stream.readableEnded) return;
    if ((overMs / 1000) * transferBytesPerS <= this.#received) return;
    this.#refuse(new RequestError(408, "Cannot wait for the rest of the message any longer"));
  }

  #refuse(error: unknown): void {
    this.end();
    this.#call.sendStatus(refusalOf(error));
  }

  /** Reads a part of `data` from `at` on, and returns where the next begins. */
  #read(data: Buffer, at: number, messages: Message[]): number {
    let end = at;
    if (this.#body === null) {
      end += data.copy(this.#prefix, this.#prefixBytes, at);
      this.#prefixBytes += end - at;
      if (this.#prefixBytes < PREFIX_BYTES) return end;
      this.#prefixBytes = 0;
      this.#left = this.#prefix.readUInt32BE(1);
      if (this.#left > this.#limits.bodyBytes) throw tooLarge(this.#limits);
      this.#body = this.#newBody();
      if (this.#isStream) this.#sinceMs = performance.now();
      this.#received = 0;
    } else {
      const chunk = data.subarray(at, at + this.#left);
      this.#body.add(chunk);
      this.#left -= chunk.length;
      this.#received += chunk.length;
      end += chunk.length;
    }
    if (this.#left === 0) {
      messages.push(this.#message(this.#body, this.#prefix[0] === 1));
      this.#body = null;
      if (this.#isStream) this.#sinceMs = Infinity;
    }
    return end;
  }

  #newBody(): Body {
    const body = new Body(this.#budget, this.#limits);
    this.#bodies.add(body);
    return body;
  }

  #message(body: Body, isCompressed: boolean): Message {
    return new Message(body.chunks, isCompressed, () => {
      body.drop();
      this.#bodies.delete(body);
    });
  }

  /** For a message that says it is compressed, or is not. Rejects with Refusal. */
  decompress(message: Message, encoding: string): Message | Promise<Message> {
    if (encoding === "identity") return message;
    if (encoding !== "gzip" && encoding !== "deflate") {
      const details = `Cannot read a message whose grpc-encoding is "${encoding}"`;
      return Promise.reject(new Refusal(Grpc.unimplemented, details));
    }
    const body = this.#newBody();
    return new Promise((resolve, reject) => {
      const done = (): void => {
        message.drop();
        resolve(this.#message(body, false));
      };
      readBody(Readable.from(message.chunks), encoding, body, done, (error) => reject(refusalOf(error)));
    });
  }

  /** No more is wanted. */
  end(): void {
    this.#ended = true;
    for (const body of this.#bodies) body.drop();
    this.#bodies.clear();
  }
}

/** With the status that grpc-js answers. */
class Refusal extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, details: string) {
    super(details);
    this.name = "Refusal";
    this.code = code;
    this.details = details;
  }
}

function refusalOf(error: unknown): Refusal {
  const { grpc, message } = failureOf(error);
  return new Refusal(grpc, message);
}
