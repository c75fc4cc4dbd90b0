/**
 * Writes protobuf's wire format. Fields come out in the order of the calls, so the same calls give the same
 * bytes everywhere. Long byte strings are kept by reference and copied once, by `toBytes`.
 */

import { Buffer } from "node:buffer";

/** From this size on, bytes are kept by reference. */
const referenceBytes = 1024;

export class MessageWriter {
  readonly #chunks: Uint8Array[] = [];
  #small: number[] = [];
  #bytes = 0;

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes + this.#small.length;
  }

  /** An integer field (int32, int64, uint64, bool, enum). A number must be a safe integer. */
  integer(field: number, value: number | bigint): void {
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      throw new RangeError(`Cannot write field ${field}: expected an integer within 2^53, got ${value}`);
    }
    this.#varint(field * 8);
    if (typeof value === "number" && value >= 0) this.#varint(value);
    else this.#bigVarint(BigInt.asUintN(64, BigInt(value)));
  }

  float(field: number, value: number): void {
    const bits = new DataView(new ArrayBuffer(4));
    bits.setFloat32(0, value, true);
    this.#varint(field * 8 + 5);
    for (let i = 0; i < 4; i++) this.#small.push(bits.getUint8(i));
  }

  text(field: number, value: string): void {
    this.raw(field, Buffer.from(value, "utf8"));
  }

  /** A bytes field. `value` must not change before `toBytes`. */
  raw(field: number, value: Uint8Array): void {
    this.#varint(field * 8 + 2);
    this.#varint(value.byteLength);
    this.copy(value);
  }

  /** Fields that are encoded already, as they are. `value` must not change before `toBytes`. */
  copy(value: Uint8Array): void {
    if (value.byteLength < referenceBytes) {
      for (const byte of value) this.#small.push(byte);
    } else {
      this.#flush();
      this.#add(value);
    }
  }

  /** A field that is itself a message; `value` is finished with. */
  message(field: number, value: MessageWriter): void {
    value.#flush();
    this.#varint(field * 8 + 2);
    this.#varint(value.#bytes);
    this.#flush();
    for (const chunk of value.#chunks) this.#add(chunk);
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    this.#flush();
    const all = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.byteLength;
    }
    return all;
  }

  #add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
  }

  #flush(): void {
    if (this.#small.length === 0) return;
    this.#add(Uint8Array.from(this.#small));
    this.#small = [];
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#small.push((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#small.push(rest);
  }

  #bigVarint(value: bigint): void {
    let rest = value;
    while (rest >= 0x80n) {
      this.#small.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#small.push(Number(rest));
  }
}
