/** Room for a text beside each slot: why its row failed. */

import { TEXT_BYTES } from "./layout.ts";

const encoder = new TextEncoder();
const encoded = new Uint8Array(TEXT_BYTES - 2);
const decoder = new TextDecoder();

export class RowTexts {
  readonly #bytes: Uint8Array;

  /** Over TEXT_BYTES for each slot, in shared memory: the text's length in two bytes, then the text. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Cut to what fits. */
  write(slot: number, text: string): void {
    const at = slot * TEXT_BYTES;
    // Through memory of its own, since encodeInto refuses shared memory in some runtimes. It never cuts
    // inside a character.
    const { written } = encoder.encodeInto(text, encoded);
    this.#bytes[at] = written & 0xff;
    this.#bytes[at + 1] = written >>> 8;
    this.#bytes.set(encoded.subarray(0, written), at + 2);
  }

  read(slot: number): string {
    const at = slot * TEXT_BYTES;
    const length = this.#bytes[at] | (this.#bytes[at + 1] << 8);
    return decoder.decode(this.#bytes.slice(at + 2, at + 2 + length));
  }
}
