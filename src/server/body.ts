/** A request's body: read in pieces, decompressed, and counted, so that no client can fill the memory. */

import { createGunzip, createInflate } from "node:zlib";
import type { Readable } from "node:stream";
import { ClientGone, RequestError } from "./failure.ts";
import type { Budget, Limits } from "./limits.ts";

/** What came, in its pieces. Whoever has used them drops them. */
export class Body {
  readonly chunks: Uint8Array[] = [];
  bytes = 0;
  /** Bytes as they came, for the rate at which they do. */
  received = 0;
  #taken = 0;
  readonly #budget: Budget;
  readonly #limits: Limits;

  constructor(budget: Budget, limits: Limits) {
    this.#budget = budget;
    this.#limits = limits;
  }

  /** Throws RequestError if the body, or all bodies together, become too large. */
  add(chunk: Uint8Array): void {
    if (this.bytes + chunk.length > this.#limits.bodyBytes) throw tooLarge(this.#limits);
    if (!this.#budget.take(chunk.length, this.bytes)) {
      const headers = { "retry-after": "1" };
      throw new RequestError(503, "Cannot take more request bodies into memory now", headers);
    }
    this.#taken += chunk.length;
    this.bytes += chunk.length;
    this.chunks.push(chunk);
  }

  /** Gives the memory back. May be called more than once. */
  drop(): void {
    this.#budget.give(this.#taken);
    this.#taken = 0;
    this.chunks.length = 0;
  }
}

export function tooLarge({ bodyBytes }: Limits): RequestError {
  return new RequestError(413, `Cannot accept a body of more than ${bodyBytes} bytes`);
}

/**
 * Reads all of a body, and tells one of the two. It fails with RequestError, or with ClientGone if the
 * connection ends before it does.
 */
export function readBody(
  source: Readable & { complete?: boolean },
  encoding: string | undefined,
  body: Body,
  done: () => void,
  failed: (error: unknown) => void,
): void {
  const decoder = decoderOf(encoding);
  const stream = decoder === null ? source : source.pipe(decoder);
  const fail = (error: unknown): void => {
    if (decoder !== null) source.unpipe();
    decoder?.destroy();
    failed(error);
  };
  if (decoder !== null) source.on("data", (chunk: Uint8Array) => (body.received += chunk.length));
  stream.on("data", (chunk: Uint8Array) => {
    if (decoder === null) body.received += chunk.length;
    try {
      body.add(chunk);
    } catch (error) {
      stream.removeAllListeners("data");
      fail(error);
    }
  });
  stream.on("end", done);
  source.on("error", () => fail(new ClientGone()));
  source.on("close", () => {
    if (source.complete === false) fail(new ClientGone());
  });
  decoder?.on("error", () =>
    fail(new RequestError(400, `Cannot read the request: its body is not ${encoding}`)),
  );
}

function decoderOf(encoding: string | undefined): ReturnType<typeof createGunzip> | null {
  switch (encoding?.trim().toLowerCase() ?? "identity") {
    case "identity":
    case "":
      return null;
    case "gzip":
    case "x-gzip":
      return createGunzip();
    case "deflate":
      return createInflate();
    default: {
      const headers = { "accept-encoding": "gzip, deflate, identity" };
      throw new RequestError(
        415,
        "Cannot read the request: expected a content-encoding of gzip or deflate",
        headers,
      );
    }
  }
}
