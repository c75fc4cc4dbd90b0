/**
 * Many bytes at once into shared memory. V8 takes what is shared word by word, as other threads might read it
 * meanwhile; that needs two to five times as long as a plain copy. Slots that are being filled are read by
 * nobody, so a plain one will do. Node has one of its own, `Buffer.fill`: given as many bytes as it is to
 * fill, it is one memcpy. Deno asks the C library, and so do all where a device reads the slots: stores that
 * go past the caches are the faster ones there. To Bun's pipes a plain copy of the library's brought nothing.
 */

import { Buffer } from "node:buffer";
import { TP_COPY_STREAM } from "../native/abi.ts";
import type { Native } from "../native/library.ts";
import { bufferOf, byteOffsetOf } from "./views.ts";

/** What copies plainly, or past the caches. */
export type NativeCopy = Pick<Native, "copyIn">;

const IS_NODE = !("Bun" in globalThis) && !("Deno" in globalThis);
const IS_DENO = "Deno" in globalThis;
/** From so many bytes on, the plain copy is worth its set-up. */
const PLAIN_BYTES_MIN = IS_NODE ? 4096 : IS_DENO ? 16_384 : Infinity;
/** From so many bytes on, going past the caches saves the device more than the call costs. */
const STREAM_BYTES_MIN = 65_536;

export class Bulk {
  readonly #bytes: Uint8Array;
  /** The same memory, where it can be filled in one plain copy without the C library. */
  readonly #plain: Buffer | null;
  readonly #native: NativeCopy;
  /** Bytes that a device reads by itself, from the first on. */
  readonly #deviceBytes: number;

  constructor(
    memory: SharedArrayBuffer,
    offset: number,
    bytes: number,
    native: NativeCopy,
    deviceBytes: number,
  ) {
    this.#bytes = new Uint8Array(memory, offset, bytes);
    this.#plain = IS_NODE ? Buffer.from(memory, offset, bytes) : null;
    this.#native = native;
    this.#deviceBytes = deviceBytes;
  }

  /** Whether `copy` is the faster way to move so many bytes. */
  pays(bytes: number): boolean {
    return bytes >= PLAIN_BYTES_MIN || (bytes >= STREAM_BYTES_MIN && this.#deviceBytes > 0);
  }

  /** Copies `count` bytes of the typed array `from`, from its byte `fromAt` on. */
  copy(from: object, fromAt: number, at: number, count: number): void {
    if (count === 0) return;
    const view = bytesOf(from, fromAt, count);
    if (count >= STREAM_BYTES_MIN && at + count <= this.#deviceBytes) {
      this.#native.copyIn(this.#bytes, at, view, TP_COPY_STREAM);
    } else if (count < PLAIN_BYTES_MIN) {
      this.#bytes.set(view, at);
    } else if (this.#plain !== null) {
      this.#plain.fill(view, at, at + count);
    } else {
      this.#native.copyIn(this.#bytes, at, view, 0);
    }
  }
}

/** A part of a typed array. Nothing is asked of the array that its owner could have replaced. */
function bytesOf(array: object, at: number, count: number): Uint8Array {
  return new Uint8Array(bufferOf(array), byteOffsetOf(array) + at, count);
}
