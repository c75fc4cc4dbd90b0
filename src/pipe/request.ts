/**
 * Reads a request: `input.data` becomes sources whose rows can be copied into slots. Whatever is wrong
 * is an InputError, and nothing here takes a slot.
 */

import { InputError } from "../errors.ts";
import { checkPieces } from "./chunks.ts";
import type { Chunks } from "./chunks.ts";
import { dtypes, isDtype, showDtype } from "./dtype.ts";
import type { TensorData } from "./dtype.ts";
import { checkPlace } from "./device-rows.ts";
import type { DeviceTensor } from "./device-tensor.ts";
import { asInputError, readData, readValues } from "./request-values.ts";
import type { RequestValue } from "./request-values.ts";
import { showCount, showRows, showShape } from "./shape.ts";
import type { InputSpec, ModelSpec } from "./spec.ts";
import { Tensor, checkCarrier } from "./tensor.ts";
import { bufferOf, byteOffsetOf, isDetached, lengthOf, mayGrow, showSafely, tagOf } from "./views.ts";

/** A request as it was read. One object per caller, overwritten by each request. */
export interface RequestScratch {
  rows: number;
  /**
   * The data of each input, in the carrier of its dtype and of fixed length, `rows * elements[k]` long. Safe
   * to read until the caller's code runs again.
   */
  readonly sources: TensorData[];
  /** The bytes of inputs that came in pieces; null where they did not. */
  readonly chunks: (Chunks | null)[];
  /** What is in device memory; null for the others. */
  readonly devices: (DeviceTensor | null)[];
  /** Elements of one row of each input. */
  readonly elements: number[];
  /** The open dimensions of all inputs, in the order of the inputs and their dimensions. */
  readonly dims: number[];
  readonly values: RequestValue[];
  /** Whether `values` is being written: the caller's code may run meanwhile. */
  reading: boolean;
}

const NOTHING = new Uint8Array(0);

export function newScratch(): RequestScratch {
  const values: RequestValue[] = [];
  return { rows: 0, sources: [], chunks: [], devices: [], elements: [], dims: [], values, reading: false };
}

/**
 * Reads `input` into `scratch`, and deletes a stale `input.result`. Reads each property once. Throws
 * InputError for everything that is wrong, and nothing else.
 */
export function readRequest(input: unknown, spec: ModelSpec, scratch: RequestScratch): void {
  const { only } = spec;
  const nested = scratch.reading;
  // A getter may itself make a request: that one must not write over what was read so far.
  const values = nested ? [] : scratch.values;
  try {
    const data = readData(input);
    if (only !== null && readOnly(data, only, spec, scratch)) return;
    scratch.reading = true;
    readValues(data, spec, values);
  } catch (error) {
    throw asInputError(error);
  } finally {
    scratch.reading = nested;
  }
  checkValues(spec, values, scratch);
}

/** Checks what was read for all inputs and writes the scratch. None of the caller's code runs meanwhile. */
function checkValues(spec: ModelSpec, values: readonly RequestValue[], scratch: RequestScratch): void {
  let openDims = 0;
  for (let k = 0; k < spec.inputs.length; k++) {
    const value = values[k];
    const rows = checkValue(spec, k, value, scratch);
    const first = spec.batch === "none" ? 0 : 1;
    for (const d of spec.inputs[k].open) scratch.dims[openDims++] = value.dims[first + d] as number;
    if (k > 0 && rows !== scratch.rows) {
      const expected = `${showRows(scratch.rows)} as in "${spec.inputs[0].name}"`;
      throw new InputError(spec.inputs[k].name, expected, showRows(rows));
    }
    scratch.rows = rows;
  }
}

/** Forgets the caller's data, which would otherwise be kept until the next request. */
export function clearScratch({ sources, chunks, devices }: RequestScratch): void {
  for (let k = 0; k < sources.length; k++) {
    sources[k] = NOTHING;
    chunks[k] = devices[k] = null;
  }
}

/**
 * The common case, a typed array or a Tensor for the only input: false leaves it to the full checks, and to
 * their error texts.
 */
function readOnly(data: unknown, input: InputSpec, spec: ModelSpec, scratch: RequestScratch): boolean {
  const isTensor = data instanceof Tensor;
  if (isTensor && data.dtype !== input.dtype) return false;
  const view = (isTensor ? data.data : data) as object;
  if (tagOf(view) !== input.tag) return false;
  const { itemElements: item } = input;
  const length = lengthOf(view);
  const rows = isTensor ? rowsOfFixed(data.shape, input, spec) : length / item;
  if (!(rows >= 1 && rows <= spec.requestRows && Number.isInteger(rows))) return false;
  if (length !== rows * item || !isPlain(view, input)) return false;
  if (length === 0 && isDetached(view)) return false;
  scratch.rows = rows;
  scratch.sources[0] = view;
  scratch.chunks[0] = scratch.devices[0] = null;
  scratch.elements[0] = item;
  return true;
}

/** The rows of a shape that is the model's, which is fixed; else NaN. */
function rowsOfFixed(shape: readonly number[], { shape: item }: InputSpec, { batch }: ModelSpec): number {
  const first = batch === "none" ? 0 : 1;
  if (shape.length !== first + item.length) return NaN;
  for (let d = 0; d < item.length; d++) if (shape[first + d] !== item[d]) return NaN;
  return first === 1 ? shape[0] : 1;
}

/** Whether a carrier of an input's dtype keeps its length, and has the built-in methods. */
function isPlain(carrier: object, { dtype }: InputSpec): carrier is TensorData {
  return Object.getPrototypeOf(carrier) === dtypes[dtype].carrier.prototype && !mayGrow(carrier);
}

/** Checks what came for input `k`, writes its source and elements, and returns its rows. */
function checkValue(spec: ModelSpec, k: number, value: RequestValue, scratch: RequestScratch): number {
  const input = spec.inputs[k];
  if (value.rank >= 0 && value.dtype !== input.dtype) {
    const got = isDtype(value.dtype) ? `a Tensor of ${value.dtype}` : `dtype ${showSafely(value.dtype)}`;
    throw new InputError(input.name, showDtype(input.dtype), got);
  }
  const { view, pieces, device } = value;
  value.view = undefined;
  value.pieces = value.device = null;
  scratch.chunks[k] = scratch.devices[k] = null;
  if (device !== null) return checkDevice(spec, k, value, device, scratch);
  if (pieces !== null) return checkChunks(spec, k, value, pieces, scratch);
  const carrier = checkCarrier(view, input.dtype, input.name);
  const length = lengthOf(carrier);
  // Without a name: the bundler has names kept, which would be done for every request.
  const rows =
    value.rank === -1
      ? bareRows(spec, input, length, () => showSafely(view))
      : shapedRows(spec, input, value);
  checkRows(spec, input, rows);
  const elements = value.rank === -1 ? input.itemElements : itemElements(spec, value);
  if (length !== rows * elements) {
    const shape = showShape(value.dims.slice(0, value.rank) as number[]);
    throw new InputError(input.name, `${showCount(rows * elements)} for shape ${shape}`, showSafely(carrier));
  }
  // The length was read once: what another thread makes longer is seen only as far as it was checked.
  scratch.sources[k] = isPlain(carrier, input)
    ? carrier
    : new dtypes[input.dtype].carrier(bufferOf(carrier), byteOffsetOf(carrier), length);
  scratch.elements[k] = elements;
  return rows;
}

/** The same for data that came in pieces. */
function checkChunks(
  spec: ModelSpec,
  k: number,
  value: RequestValue,
  pieces: readonly Uint8Array[],
  scratch: RequestScratch,
): number {
  const input = spec.inputs[k];
  const chunks = checkPieces(pieces);
  if (chunks === undefined) {
    throw new InputError(input.name, "byte chunks", "a Uint8Array whose buffer is detached");
  }
  const { bytes } = dtypes[input.dtype];
  const length = chunks.bytes / bytes;
  const rows =
    value.rank === -1
      ? bareRows(spec, input, length, () => shownChunks(chunks.bytes, pieces.length))
      : shapedRows(spec, input, value);
  checkRows(spec, input, rows);
  const elements = value.rank === -1 ? input.itemElements : itemElements(spec, value);
  if (length !== rows * elements) {
    const shape = showShape(value.dims.slice(0, value.rank) as number[]);
    const expected = `${rows * elements * bytes} bytes for shape ${shape} of ${input.dtype}`;
    throw new InputError(input.name, expected, shownChunks(chunks.bytes, pieces.length));
  }
  scratch.sources[k] = NOTHING;
  scratch.chunks[k] = chunks;
  scratch.elements[k] = elements;
  return rows;
}

function shownChunks(bytes: number, pieces: number): string {
  return `${bytes} bytes in ${pieces === 1 ? "1 chunk" : `${pieces} chunks`}`;
}

/** The same for what is in device memory: its class vouches for its length. */
function checkDevice(
  spec: ModelSpec,
  k: number,
  value: RequestValue,
  tensor: DeviceTensor,
  scratch: RequestScratch,
): number {
  const input = spec.inputs[k];
  checkPlace(spec, input.name, tensor);
  const rows = shapedRows(spec, input, value);
  checkRows(spec, input, rows);
  scratch.sources[k] = NOTHING;
  scratch.devices[k] = tensor;
  scratch.elements[k] = itemElements(spec, value);
  return rows;
}

/** Rows of bare data, whose shape follows from the model. */
function bareRows(spec: ModelSpec, input: InputSpec, length: number, got: () => string): number {
  const { itemElements: item, name } = input;
  const rows = length / item;
  if (item > 0 && Number.isInteger(rows) && (spec.batch !== "none" || rows === 1)) return rows;
  const expected = expectedShape(spec, input);
  if (item <= 0) {
    const why = item === 0 ? "an item has no elements" : "the model leaves dimensions open";
    throw new InputError(name, `a Tensor of shape ${expected}, because ${why}`, `a bare ${got()}`);
  }
  const elements = spec.batch === "none" ? showCount(item) : `a multiple of ${showCount(item)}`;
  throw new InputError(name, `${elements} for shape ${expected}`, got());
}

/** Rows of a tensor, whose shape must be the model's. */
function shapedRows(spec: ModelSpec, input: InputSpec, value: RequestValue): number {
  const first = spec.batch === "none" ? 0 : 1;
  let fits = value.rank === input.shape.length + first;
  for (let d = 0; d < value.rank; d++) {
    const dim = value.dims[d];
    if (typeof dim !== "number" || !Number.isInteger(dim) || dim < 0) {
      throw new InputError(
        input.name,
        `dimension ${d} of the shape as an integer of at least 0`,
        showSafely(dim),
      );
    }
    if (d >= first) fits &&= dim >= input.smallest[d - first] && dim <= input.largest[d - first];
  }
  if (fits) return first === 1 ? (value.dims[0] as number) : 1;
  const dims = value.dims.slice(0, value.rank) as number[];
  const hint = isOneItem(input, dims) ? `; reshape it to ${showShape([1, ...dims])}` : "";
  throw new InputError(input.name, `shape ${expectedShape(spec, input)}`, showShape(dims) + hint);
}

/** Whether the shape would fit with a batch dimension in front. */
function isOneItem({ smallest, largest }: InputSpec, dims: readonly number[]): boolean {
  return dims.length === largest.length && dims.every((dim, d) => dim >= smallest[d] && dim <= largest[d]);
}

function checkRows(spec: ModelSpec, { name }: InputSpec, rows: number): void {
  if (rows === 0) throw new InputError(name, "at least 1 row", "0 rows");
  if (rows > spec.requestRows)
    throw new InputError(name, `at most max_queue, ${showRows(spec.requestRows)}`, showRows(rows));
}

function itemElements(spec: ModelSpec, value: RequestValue): number {
  let elements = 1;
  for (let d = spec.batch === "none" ? 0 : 1; d < value.rank; d++) elements *= value.dims[d] as number;
  return elements;
}

/** `[rows, 3, 0..640]` */
function expectedShape({ batch }: ModelSpec, { smallest, largest }: InputSpec): string {
  const item = largest.map((dim, d) => (dim === smallest[d] ? dim : `${smallest[d]}..${dim}`));
  return showShape(batch === "none" ? item : ["rows", ...item]);
}
