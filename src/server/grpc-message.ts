/** The ModelInferRequest of gRPC, read without copying the bytes of its inputs. */

import { ByteCursor } from "./byte-cursor.ts";
import { Message } from "./grpc-body.ts";

/** One of the kinds of value; 64-bit integers are texts. */
export type Parameters = Readonly<Record<string, { parameter_choice?: string } & Record<string, unknown>>>;

export type Contents = Readonly<Record<string, readonly (number | boolean | string)[]>>;

/** A ModelInferRequest as @grpc/proto-loader gives it. */
interface ParsedMessage {
  model_name: string;
  model_version: string;
  id: string;
  parameters: Parameters;
  inputs: readonly {
    name: string;
    datatype: string;
    shape: readonly string[];
    parameters: Parameters;
    contents: Contents | null;
  }[];
  outputs: readonly { name: string; parameters: Parameters }[];
  raw_input_contents: Uint8Array[];
}

/** The same with inputs in pieces. */
export interface InferMessage extends Omit<ParsedMessage, "raw_input_contents"> {
  raw_input_contents: readonly (readonly Uint8Array[])[];
  /** Gives the memory of the inputs back. */
  drop(): void;
}

/** The field of `raw_input_contents`. */
const RAW = 7;

/** How a field's value is written, in the low bits of its tag. */
const Wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** `parse` reads a message that is in one piece. */
export function readInferMessage(parse: (bytes: Buffer) => object, message: Message | Buffer): InferMessage {
  const chunks = message instanceof Message ? message.chunks : [message];
  // In one piece there is nothing to join: what is parsed shows to where it lies.
  const split = chunks.length > 1 ? splitRaw(new ByteCursor(chunks)) : null;
  const parsed = parse(joined(split?.others ?? chunks)) as ParsedMessage;
  const request: InferMessage = {
    ...parsed,
    raw_input_contents: split?.raw ?? parsed.raw_input_contents.map((bytes) => [bytes]),
    drop() {
      request.raw_input_contents = [];
      if (message instanceof Message) message.drop();
    },
  };
  return request;
}

function joined(chunks: readonly Uint8Array[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

/** Each value of `raw_input_contents`, and all other fields; null for what is no message, or has groups. */
function splitRaw(bytes: ByteCursor): { others: Uint8Array[]; raw: Uint8Array[][] } | null {
  const others: Uint8Array[] = [];
  const raw: Uint8Array[][] = [];
  while (bytes.left > 0) {
    const head: number[] = [];
    const tag = readVarint(bytes, head);
    const length = lengthOf(tag % 8, bytes, head);
    if (!(length <= bytes.left)) return null;
    const value = bytes.take(length);
    if (tag === RAW * 8 + Wire.bytes) raw.push(value);
    else others.push(Uint8Array.from(head), ...value);
  }
  return { others, raw };
}

/** Of the value behind a tag; NaN if it cannot be told. What is read goes to `head`. */
function lengthOf(wire: number, bytes: ByteCursor, head: number[]): number {
  switch (wire) {
    case Wire.varint:
      return Number.isNaN(readVarint(bytes, head)) ? NaN : 0;
    case Wire.fixed64:
      return 8;
    case Wire.fixed32:
      return 4;
    case Wire.bytes:
      return readVarint(bytes, head);
    default:
      return NaN;
  }
}

/** Seven bits a byte, the low ones first; the last byte's high bit is clear. NaN if the bytes end before. */
function readVarint(bytes: ByteCursor, head: number[]): number {
  let value = 0;
  for (let scale = 1; bytes.left > 0; scale *= 128) {
    const byte = bytes.next();
    head.push(byte);
    value += (byte % 128) * scale;
    if (byte < 128) return value;
  }
  return NaN;
}
