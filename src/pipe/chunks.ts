/**
 * Input data that came in pieces, as off a socket: byte arrays which together are a tensor's bytes. They are
 * copied into the slots piece by piece, so nobody has to join them first.
 */

import type { Bulk } from "./bulk.ts";
import { bufferOf, byteOffsetOf, isDetached, lengthOf, mayGrow, tagOf } from "./views.ts";

/** Bytes in the order of the pieces. A piece may end anywhere, within an element too. */
export interface Chunks {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
}

/** The pieces of a caller's array, each element read once; undefined if one is not a Uint8Array. */
export function readPieces(list: readonly unknown[]): Uint8Array[] | undefined {
  const count = list.length;
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const piece = list[i];
    if (tagOf(piece) !== "Uint8Array") return undefined;
    pieces.push(piece as Uint8Array);
  }
  return pieces;
}

/**
 * Pieces as views that keep their length, and their bytes; undefined if a buffer is detached. None of the
 * caller's code may run between this and the copy.
 */
export function checkPieces(pieces: readonly Uint8Array[]): Chunks | undefined {
  let bytes = 0;
  const fixed: Uint8Array[] = [];
  for (const piece of pieces) {
    const length = lengthOf(piece);
    if (length === 0 && isDetached(piece)) return undefined;
    bytes += length;
    fixed.push(mayGrow(piece) ? new Uint8Array(bufferOf(piece), byteOffsetOf(piece), length) : piece);
  }
  return { pieces: fixed, bytes };
}

/** Copies out of chunks from front to back. */
export class ChunkReader {
  readonly #pieces: readonly Uint8Array[];
  #piece = 0;
  /** Bytes of the current piece that were read. */
  #read = 0;

  constructor({ pieces }: Chunks, from: number) {
    this.#pieces = pieces;
    let left = from;
    while (left > 0 && left >= lengthOf(pieces[this.#piece])) left -= lengthOf(pieces[this.#piece++]);
    this.#read = left;
  }

  /** Copies the next `count` bytes to `to` from `at` on. */
  copy(to: Bulk, at: number, count: number): void {
    let done = 0;
    while (done < count) {
      const piece = this.#pieces[this.#piece];
      const length = lengthOf(piece);
      const bytes = Math.min(count - done, length - this.#read);
      to.copy(piece, this.#read, at + done, bytes);
      done += bytes;
      this.#read += bytes;
      if (this.#read === length) {
        this.#piece++;
        this.#read = 0;
      }
    }
  }
}
