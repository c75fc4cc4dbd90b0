/** Reads inference requests that came over HTTP: JSON alone, or JSON and behind it the bytes of inputs. */

import type { ChunkedTensor, PipeDescription } from "../index.ts";
import { ByteCursor } from "./byte-cursor.ts";
import { RequestError } from "./failure.ts";
import { readDocument, refuse } from "./infer-request.ts";
import type { InferRequest } from "./infer-request.ts";
import { parseJson, shown } from "./json.ts";
import type { Limits } from "./limits.ts";

/** JSON that is remembered: how much of it, and how long each may be. */
const KNOWN_MAX = 256;
const KNOWN_BYTES_MAX = 1024;

/** What a request's JSON said, without the data that was behind it. */
interface Known extends Omit<InferRequest, "inputs"> {
  json: Buffer;
  inputs: readonly KnownInput[];
  /** Of all inputs. */
  bytes: number;
}

interface KnownInput extends Omit<ChunkedTensor, "data"> {
  name: string;
  bytes: number;
}

/** One per server. */
export class RequestReader {
  readonly #limits: Limits;
  /**
   * By the JSON itself, a character for each byte. A client sends the same again and again, with other data
   * behind it, and reading it takes longer than finding it here.
   */
  readonly #known = new Map<string, Known>();
  /** The one that was found last, which is compared first. */
  #last: Known | null = null;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** `headerLength`: bytes of JSON; without it there is nothing else. Throws RequestError and InputError. */
  read(chunks: readonly Uint8Array[], headerLength: string | undefined): InferRequest {
    const { jsonBytes: bytesMax } = this.#limits;
    const bytes = new ByteCursor(chunks);
    const jsonBytes = headerLength === undefined ? bytes.left : readLength(headerLength, bytes.left);
    if (jsonBytes > bytesMax) {
      const hint = "send tensors as binary data";
      throw new RequestError(413, `Cannot accept more than ${bytesMax} bytes of JSON: ${hint}`);
    }
    const last = this.#last;
    if (last?.json.length === jsonBytes && last.bytes === bytes.left - jsonBytes && bytes.skip(last.json)) {
      return again(last, bytes);
    }
    const json = join(bytes.take(jsonBytes));
    if (bytes.left === 0 || jsonBytes > KNOWN_BYTES_MAX) return this.#parse(json, bytes);
    const key = Buffer.from(json.buffer, json.byteOffset, json.length).toString("latin1");
    const known = this.#known.get(key);
    if (known !== undefined && known.bytes === bytes.left) {
      this.#last = known;
      return again(known, bytes);
    }
    const request = this.#parse(json, bytes);
    this.#remember(key, request);
    return request;
  }

  #parse(json: Uint8Array, bytes: ByteCursor): InferRequest {
    return readDocument(parseJson(json, this.#limits), bytes, this.#limits);
  }

  /** Unless it has data in the JSON, or an id, which the next one will not have. */
  #remember(key: string, request: InferRequest): void {
    if (request.id !== undefined) return;
    const inputs: KnownInput[] = [];
    for (const { name, value } of request.inputs) {
      const { data, shape, dtype } = value as ChunkedTensor;
      if (!Array.isArray(data)) return;
      const bytes = data.reduce((sum: number, { length }: Uint8Array) => sum + length, 0);
      inputs.push({ name, shape, dtype, bytes });
    }
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    const bytes = inputs.reduce((sum, input) => sum + input.bytes, 0);
    this.#known.set(key, { ...request, json: Buffer.from(key, "latin1"), inputs, bytes });
  }
}

/** The same request with other data. */
function again(
  { inputs: known, outputs, binaryOutputs, timeoutMs, priority }: Known,
  data: ByteCursor,
): InferRequest {
  const inputs = known.map(({ name, shape, dtype, bytes }) => {
    return { name, value: { data: data.take(bytes), shape, dtype } };
  });
  return { id: undefined, inputs, outputs, binaryOutputs, timeoutMs, priority };
}

function readLength(text: string, left: number): number {
  const length = /^\d{1,12}$/.test(text) ? Number(text) : -1;
  if (length >= 0 && length <= left) return length;
  throw refuse("Inference-Header-Content-Length", `a number of bytes up to the body's, ${left}`, shown(text));
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}

/** A body without any JSON: the bytes of the only input, whose shape follows from the model. */
export function readRaw({ inputs }: PipeDescription, chunks: readonly Uint8Array[]): InferRequest {
  if (inputs.length !== 1) {
    throw refuse("a body without JSON", "a model with one input", `one with ${inputs.length}`);
  }
  const wishes = { outputs: null, binaryOutputs: true, timeoutMs: undefined, priority: undefined };
  return { id: undefined, inputs: [{ name: inputs[0].name, value: chunks }], ...wishes };
}
