/** What a client may take: bytes, connections, time. Every limit has a default and is never off. */

export interface Limits {
  /** Bytes of one request's body, after decompression. Also of one gRPC message. */
  bodyBytes: number;
  /** Bytes of a request's JSON part: parsing it holds up the event loop. */
  jsonBytes: number;
  /** How deep lists and objects may be nested in JSON, and how many of them there may be. */
  jsonDepth: number;
  jsonContainers: number;
  /** Bytes of all requests' bodies together, until they are copied into a pipe's memory. */
  bufferedBytes: number;
  /** Entries of one `parameters` object; inputs, and outputs, of one request. */
  parameters: number;
  tensors: number;
  /** Bytes of a request line and its headers, and of its path alone. */
  headerBytes: number;
  urlBytes: number;
  /** Connections at a time. One more takes the place of the one that has been idle for longest. */
  connections: number;
  /** ms until the headers of a connection's first request are complete. */
  headerMs: number;
  /** ms until those of its next request are, from the last one's end. */
  idleMs: number;
  /** ms for which a body, or the reading of a reply, may be slow, and bytes per second after that. */
  transferMs: number;
  transferBytesPerS: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEFAULT_LIMITS: Limits = {
  bodyBytes: 128 * MIB,
  jsonBytes: 16 * MIB,
  jsonDepth: 64,
  jsonContainers: 1_000_000,
  bufferedBytes: 512 * MIB,
  parameters: 64,
  tensors: 256,
  headerBytes: 16 * KIB,
  urlBytes: 4 * KIB,
  connections: 1024,
  headerMs: 10_000,
  idleMs: 75_000,
  transferMs: 15_000,
  transferBytesPerS: 16 * KIB,
};

/** Bodies up to this size have a quarter of `bufferedBytes` for themselves: fat ones do not starve them. */
const SMALL_BYTES = MIB;

/** Bytes of bodies that are in memory. One per server. */
export class Budget {
  readonly #limit: number;
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** Takes `bytes` more for a body that has `before` already; false if there is no room. */
  take(bytes: number, before: number): boolean {
    const limit = before + bytes <= SMALL_BYTES ? this.#limit : this.#limit * 0.75;
    if (this.#used + bytes > limit) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}
