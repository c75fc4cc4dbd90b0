/**
 * Messages of gRPC as they come. grpc-js joins the pieces of each, which costs a large one a copy and its
 * memory once more, and counts none of them. Here they stay as they are, and count as bodies of HTTP do.
 */

import { Readable } from "node:stream";
import type { ServerInterceptor } from "@grpc/grpc-js";
import { Body, readBody, tooLarge } from "./body.ts";
import { Grpc, failureOf } from "./failure.ts";
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

/** For a server of grpc-js. `failed` is called once if this grpc-js keeps elsewhere what is needed. */
export function piecesInterceptor(budget: Budget, limits: Limits, failed: () => void): ServerInterceptor {
  let hasFailed = false;
  return (_, call) => {
    const base = call as unknown as BaseCall;
    if (isBaseCall(base)) {
      takeOver(base, new CallBodies(base, budget, limits));
    } else if (!hasFailed) {
      hasFailed = true;
      failed();
    }
    // Nothing is done around it, so it is as good as one that wraps it.
    return call as ReturnType<ServerInterceptor>;
  };
}

function isBaseCall(call: Partial<BaseCall>): call is BaseCall {
  return (
    typeof call.decoder?.write === "function" &&
    typeof call.decompressMessage === "function" &&
    call.stream instanceof Readable
  );
}

function takeOver(call: BaseCall, bodies: CallBodies): void {
  call.decoder = bodies;
  call.decompressMessage = (message, encoding) => bodies.decompress(message, encoding);
  call.stream.once("close", () => bodies.end());
}

/** The messages of one call, from the wire until their bytes are used or the call ends. */
class CallBodies {
  readonly #call: BaseCall;
  readonly #budget: Budget;
  readonly #limits: Limits;
  readonly #bodies = new Set<Body>();
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixBytes = 0;
  /** Bytes of the message that is being read which are still to come, and what came. */
  #left = 0;
  #body: Body | null = null;
  #ended = false;

  constructor(call: BaseCall, budget: Budget, limits: Limits) {
    this.#call = call;
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
      this.end();
      this.#call.sendStatus(refusalOf(error));
      return [];
    }
    return messages;
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
    } else {
      const chunk = data.subarray(at, at + this.#left);
      this.#body.add(chunk);
      this.#left -= chunk.length;
      end += chunk.length;
    }
    if (this.#left === 0) {
      messages.push(this.#message(this.#body, this.#prefix[0] === 1));
      this.#body = null;
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
