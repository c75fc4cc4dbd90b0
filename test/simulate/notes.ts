/** Texts in shared memory: the violation that ended a run, and the last steps before it. */

import { TEXT_AT, TEXT_BYTES, TRACE_AT, TRACE_LINES, Word } from "./world-layout.ts";

export class Notes {
  readonly #words: Int32Array;
  readonly #buffer: SharedArrayBuffer;

  constructor(words: Int32Array, buffer: SharedArrayBuffer) {
    this.#words = words;
    this.#buffer = buffer;
  }

  get violation(): string {
    return this.#read(TEXT_AT);
  }

  set violation(text: string) {
    this.#write(TEXT_AT, text);
  }

  /** One more step. */
  add(text: string): void {
    this.#write(TRACE_AT + (this.#words[Word.traced]++ % TRACE_LINES) * TEXT_BYTES, text);
  }

  /** The last steps, oldest first. */
  get steps(): string[] {
    const count = this.#words[Word.traced];
    const kept = Math.min(count, TRACE_LINES);
    return Array.from({ length: kept }, (_, i) =>
      this.#read(TRACE_AT + ((count - kept + i) % TRACE_LINES) * TEXT_BYTES),
    );
  }

  #write(at: number, text: string): void {
    const bytes = new TextEncoder().encode(text).subarray(0, TEXT_BYTES - 2);
    const to = new Uint8Array(this.#buffer, at, TEXT_BYTES);
    to[0] = bytes.length & 0xff;
    to[1] = bytes.length >>> 8;
    to.set(bytes, 2);
  }

  #read(at: number): string {
    const from = new Uint8Array(this.#buffer, at, TEXT_BYTES);
    return new TextDecoder().decode(from.slice(2, 2 + (from[0] | (from[1] << 8))));
  }
}
