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
      this.#pass(part.length);
    }
    return taken;
  }

  /** The next byte, which must be there. */
  next(): number {
    while (this.#at === this.#chunks[this.#chunk].length) this.#pass(0);
    const byte = this.#chunks[this.#chunk][this.#at];
    this.#pass(1);
    return byte;
  }

  /** Passes over `bytes`, if they are what comes next, and lie in one piece. */
  skip(bytes: Buffer): boolean {
    const chunk = this.#chunks[this.#chunk];
    const end = this.#at + bytes.length;
    if (end > chunk.length || bytes.compare(chunk, this.#at, end) !== 0) return false;
    this.#pass(bytes.length);
    return true;
  }

  /** Of one chunk. */
  #pass(count: number): void {
    this.left -= count;
    this.#at += count;
    if (this.#at < this.#chunks[this.#chunk].length) return;
    this.#chunk++;
    this.#at = 0;
  }
}
