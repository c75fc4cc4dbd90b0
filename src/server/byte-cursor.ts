/** A body of several pieces, read from front to back. */

/** Takes bytes off the front, without copying them. */
export class ByteCursor {
  readonly #chunks: readonly Uint8Array[];
  #chunk = 0;
  #at = 0;
  left: number;

  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks;
    this.left = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  /** The next `count` bytes, which must be there. */
  take(count: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    let wanted = count;
    while (wanted > 0) {
      const chunk = this.#chunks[this.#chunk];
      const part = chunk.subarray(this.#at, this.#at + wanted);
      if (part.length > 0) taken.push(part);
      wanted -= part.length;
      this.#at += part.length;
      if (this.#at < chunk.length) continue;
      this.#chunk++;
      this.#at = 0;
    }
    this.left -= count;
    return taken;
  }
}
