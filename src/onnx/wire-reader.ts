/**
 * Reads protobuf's wire format without a schema: a message is a run of fields, each a number, a wire type and
 * a value. Nothing is copied or allocated for a field that is skipped, so weights cost nothing, whatever
 * their size.
 */

import { Buffer } from "node:buffer";
import { readSync } from "node:fs";

/** Random access to the bytes of a model. */
export interface ByteSource {
  readonly bytes: number;
  /** `length` bytes from `offset`, both within `bytes`. Valid until the next call. */
  view(offset: number, length: number): Uint8Array;
}

/** The bytes are not a well-formed message. `truncated`: a field says that it is longer than what is left. */
export class WireError extends Error {
  readonly offset: number;
  readonly truncated: boolean;

  constructor(offset: number, message: string, truncated = false) {
    super(message);
    this.name = "WireError";
    this.offset = offset;
    this.truncated = truncated;
  }
}

export class BytesSource implements ByteSource {
  readonly #all: Uint8Array;
  readonly bytes: number;

  constructor(all: Uint8Array) {
    this.#all = all;
    this.bytes = all.byteLength;
  }

  view(offset: number, length: number): Uint8Array {
    return this.#all.subarray(offset, offset + length);
  }
}

const windowBytes = 64 * 1024;

/** An open file, read through one window that follows the reader. Does not own the descriptor. */
export class FileSource implements ByteSource {
  readonly #fd: number;
  readonly bytes: number;
  #window: Uint8Array = new Uint8Array(0);
  #start = 0;

  constructor(fd: number, bytes: number) {
    this.#fd = fd;
    this.bytes = bytes;
  }

  view(offset: number, length: number): Uint8Array {
    if (offset < this.#start || offset + length > this.#start + this.#window.byteLength) {
      this.#window = this.#load(offset, Math.min(Math.max(length, windowBytes), this.bytes - offset));
      this.#start = offset;
    }
    const from = offset - this.#start;
    return this.#window.subarray(from, from + length);
  }

  #load(offset: number, length: number): Uint8Array {
    const to = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const got = readSync(this.#fd, to, done, length - done, offset + done);
      if (got === 0) throw new WireError(offset + done, "the file became shorter while it was read", true);
      done += got;
    }
    return to;
  }
}

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

/**
 * Longest text that is read: names are short, and a claimed length must not become an allocation of that
 * size.
 */
const textMaxBytes = 1 << 20;

/** Most integers of one repeated field that are read: they are the dimensions of one tensor. */
const integersMax = 4096;

/**
 * Walks the fields of one message: `next()` steps on, the properties describe the field that it stands on.
 */
export class MessageReader {
  readonly #source: ByteSource;
  readonly #end: number;
  #at: number;
  /** Field number and wire type. */
  field = 0;
  wire = 0;
  /** WIRE_VARINT: the value as a signed 64-bit integer; exact within 2^53. */
  value = 0;
  /** Where the value lies in the source, from `start` to before `end`; the field itself begins at `from`. */
  from = 0;
  start = 0;
  end = 0;

  constructor(source: ByteSource, start = 0, end: number = source.bytes) {
    this.#source = source;
    this.#at = start;
    this.#end = end;
  }

  /** Steps to the next field; false at the end of the message. Throws WireError. */
  next(): boolean {
    if (this.#at === this.#end) return false;
    this.from = this.#at;
    const key = this.#varint();
    this.wire = key & 7;
    this.field = Math.floor(key / 8);
    if (this.field < 1 || this.field >= 2 ** 29) {
      throw new WireError(this.#at, `byte ${this.#at} has field number ${this.field}`);
    }
    const bytes = this.#valueBytes();
    if (bytes > this.#end - this.#at) {
      const text = `the field at byte ${this.#at} is ${bytes} bytes long, ${this.#end - this.#at} are left`;
      throw new WireError(this.#at, text, this.#end === this.#source.bytes);
    }
    this.start = this.#at;
    this.#at += bytes;
    this.end = this.#at;
    return true;
  }

  /** Length of the value at `#at`; a varint is already behind it. */
  #valueBytes(): number {
    if (this.wire === WIRE_VARINT) {
      this.value = this.#varint();
      return 0;
    }
    if (this.wire === WIRE_FIXED64) return 8;
    if (this.wire === WIRE_FIXED32) return 4;
    if (this.wire !== WIRE_BYTES)
      throw new WireError(this.#at, `byte ${this.#at} has wire type ${this.wire}`);
    const bytes = this.#varint();
    if (bytes < 0) throw new WireError(this.#at, `the field at byte ${this.#at} has a negative length`);
    return bytes;
  }

  #varint(): number {
    const bytes = this.#source.view(this.#at, Math.min(10, this.#end - this.#at));
    // 28 + 28 + 8 bits: each part stays clear of the sign bit of JavaScript's 32-bit operators.
    const parts = [0, 0, 0];
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      parts[i >> 2]! |= (byte & 0x7f) << (7 * (i & 3));
      if (byte >= 0x80) continue;
      this.#at += i + 1;
      return join64(parts[0]!, parts[1]!, parts[2]! & 0xff);
    }
    const ends = bytes.length < 10;
    const text = ends ? "ends within a number" : "has a number of more than 10 bytes";
    throw new WireError(this.#at, `byte ${this.#at} ${text}`, ends && this.#end === this.#source.bytes);
  }

  /** The field's value as a message of its own. */
  message(): MessageReader {
    return new MessageReader(this.#source, this.start, this.end);
  }

  /** The field's value as bytes, or all of the field with its number; valid as long as `view` says. */
  bytes(what: "value" | "field" = "value"): Uint8Array {
    const from = what === "value" ? this.start : this.from;
    return this.#source.view(from, this.end - from);
  }

  /** The field's value as UTF-8 text; a text of more than 1 MiB is a WireError. */
  text(): string {
    const bytes = this.end - this.start;
    if (bytes > textMaxBytes)
      throw new WireError(this.start, `the text at byte ${this.start} is ${bytes} bytes long`);
    const { buffer, byteOffset } = this.#source.view(this.start, bytes);
    // Not TextDecoder: it refuses shared memory.
    return Buffer.from(buffer, byteOffset, bytes).toString("utf8");
  }

  /**
   * Adds the field's integers to `to`: one, or all of a packed field. More than 4096 in all are a WireError.
   */
  integers(to: number[]): void {
    if (this.wire === WIRE_VARINT) to.push(this.value);
    if (this.wire === WIRE_BYTES) {
      const packed = this.message();
      while (packed.#at < packed.#end && to.length <= integersMax) to.push(packed.#varint());
    }
    if (to.length > integersMax)
      throw new WireError(this.start, `the list at byte ${this.start} is too long`);
  }
}

function join64(low: number, middle: number, high: number): number {
  if (high === 0) return middle * 2 ** 28 + low;
  return Number(BigInt.asIntN(64, (BigInt(high) << 56n) | (BigInt(middle) << 28n) | BigInt(low)));
}
