/** A request's body: read in pieces, decompressed, and counted, so that no client can fill the memory. */

import { createGunzip, createInflate } from "node:zlib";
import type { IncomingHttpHeaders } from "node:http";
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
  #dropped = false;
  readonly #budget: Budget;
  readonly #limits: Limits;

  constructor(budget: Budget, limits: Limits) {
    this.#budget = budget;
    this.#limits = limits;
  }

  /**
   * Throws RequestError if the body, or all bodies together, become too large; ClientGone if it is not wanted
   * any more, as when its client left while it was being unpacked.
   */
  add(chunk: Uint8Array): void {
    if (this.#dropped) throw new ClientGone();
    if (this.bytes + chunk.length > this.#limits.bodyBytes) throw tooLarge(this.#limits);
    if (!this.#budget.take(chunk.length, this.bytes)) {
      const headers = { "retry-after": "1" };
      throw new RequestError(503, "Cannot take more request bodies into memory now", headers);
    }
    this.#taken += chunk.length;
    this.bytes += chunk.length;
    this.chunks.push(chunk);
  }

  /** Gives the memory back, and takes no more. May be called more than once. */
  drop(): void {
    this.#dropped = true;
    this.#budget.give(this.#taken);
    this.#taken = 0;
    for (const chunk of this.chunks) free(chunk);
    this.chunks.length = 0;
  }
}

/** Pieces of at least this size are worth being freed one by one. */
const FREED_BYTES_MIN = 8192;

/**
 * Frees a piece at once, where the runtime can. Collectors see the small object and not the memory behind it:
 * in Bun, bodies of 128 MiB that nobody wanted any more stood up to four times as high.
 */
function free({ buffer, byteLength }: Uint8Array): void {
  // Only what is nobody else's, too.
  if (byteLength < FREED_BYTES_MIN || byteLength !== buffer.byteLength) return;
  (buffer as ArrayBuffer & { transfer?: (bytes: number) => ArrayBuffer }).transfer?.(0);
}

export function tooLarge({ bodyBytes }: Limits): RequestError {
  return new RequestError(413, `Cannot accept a body of more than ${bodyBytes} bytes`);
}

/** Whether a request says beforehand that its body is too large. */
export function announcesTooMuch(headers: IncomingHttpHeaders, { bodyBytes }: Limits): boolean {
  return Number(headers["content-length"] ?? 0) > bodyBytes && !headers["content-encoding"];
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

/** Each piece is a way to another thread and back: of 16 KiB, as is usual, fat bodies have thousands. */
const UNPACKED_BYTES = 65_536;

function decoderOf(encoding: string | undefined): ReturnType<typeof createGunzip> | null {
  switch (encoding?.trim().toLowerCase() ?? "identity") {
    case "identity":
    case "":
      return null;
    case "gzip":
    case "x-gzip":
      return createGunzip({ chunkSize: UNPACKED_BYTES });
    case "deflate":
      return createInflate({ chunkSize: UNPACKED_BYTES });
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
