/**
 * Many bytes at once into shared memory. V8 takes what is shared word by word, as other threads might read it
 * meanwhile; that needs two to five times as long as a plain copy. Slots that are being filled are read by
 * nobody, so Node may use `Buffer.fill` there: given as many bytes as it is to fill, it is one memcpy. Other
 * runtimes have `set` alone.
 */

import { Buffer } from "node:buffer";
import { bufferOf, byteOffsetOf } from "./views.ts";

/** From so many bytes on, the plain copy is worth its set-up. */
const PLAIN_BYTES_MIN = 4096;
const IS_NODE = !("Bun" in globalThis) && !("Deno" in globalThis);

export class Bulk {
  readonly #bytes: Uint8Array;
  /** The same memory, where it can be filled in one plain copy. */
  readonly #plain: Buffer | null;

  constructor(memory: SharedArrayBuffer, offset: number, bytes: number) {
    this.#bytes = new Uint8Array(memory, offset, bytes);
    this.#plain = IS_NODE ? Buffer.from(memory, offset, bytes) : null;
  }

  /** Whether `copy` is the faster way to move so many bytes. */
  pays(bytes: number): boolean {
    return this.#plain !== null && bytes >= PLAIN_BYTES_MIN;
  }

  /** Copies `count` bytes of the typed array `from`, from its byte `fromAt` on. */
  copy(from: object, fromAt: number, at: number, count: number): void {
    if (count === 0) return;
    const view = bytesOf(from, fromAt, count);
    if (this.#plain !== null && count >= PLAIN_BYTES_MIN) this.#plain.fill(view, at, at + count);
    else this.#bytes.set(view, at);
  }
}

/** A part of a typed array. Nothing is asked of the array that its owner could have replaced. */
function bytesOf(array: object, at: number, count: number): Uint8Array {
  return new Uint8Array(bufferOf(array), byteOffsetOf(array) + at, count);
}
