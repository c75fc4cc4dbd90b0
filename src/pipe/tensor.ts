/** Tensors in host memory: a typed array, a shape and an element type. */

import { InputError, show } from "../errors.ts";
import { dtypeOfTag, dtypes, isDtype, names, showDtype } from "./dtype.ts";
import type { Carriers, TensorData } from "./dtype.ts";
import { bfloat16Value, float16Value } from "./half.ts";
import { checkElements, dtypeOfValue, encodeValues, flatten } from "./list.ts";
import type { TensorList } from "./list.ts";
import { checkShape, elementsOf, showShape } from "./shape.ts";
import type { Dtype } from "./types.ts";
import { bufferOf, byteOffsetOf, isDetached, lengthOf, showSafely, tagOf } from "./views.ts";

export type { TensorData } from "./dtype.ts";
export type { TensorList } from "./list.ts";

/**
 * What a tensor looks like after it was posted to another thread, where its class is lost. Taken wherever a
 * Tensor is.
 */
export interface TensorLike<D extends Dtype = Dtype> {
  readonly data: Carriers[D];
  readonly shape: readonly number[];
  readonly dtype: D;
}

/** What `Tensor.from` takes. */
export type TensorSource = TensorLike | TensorData | ArrayBufferView | TensorList;

export interface TensorOptions<D extends Dtype = Dtype> {
  /** Default: the shape of the nested lists or of the tensor; one dimension for a typed array. */
  shape?: readonly number[] | undefined;
  /**
   * Default: what the typed array holds; for lists float32, or bool for booleans, or int64 for bigints. A
   * typed array must be the one that carries the type (a Uint16Array for float16 and bfloat16: the bits);
   * lists and tensors are converted.
   */
  dtype?: D | undefined;
}

/**
 * Numbers in host memory with a shape, the outermost dimension first. Shape and dtype never change; `data`
 * is the memory itself, which several tensors may share. A tensor may be posted to a Worker.
 */
export class Tensor<D extends Dtype = Dtype> implements TensorLike<D> {
  readonly data: Carriers[D];
  readonly shape: readonly number[];
  readonly dtype: D;

  private constructor(data: Carriers[D], shape: readonly number[], dtype: D) {
    this.data = data;
    this.shape = shape;
    this.dtype = dtype;
  }

  /**
   * Makes a tensor. A typed array is wrapped, not copied: the tensor sees later changes of it. Lists are
   * copied. A Tensor is returned as it is, or with another shape (sharing its data), or converted to another
   * dtype (a copy). Throws InputError: lists of unequal lengths, a shape of another number of elements, a
   * value that the dtype cannot hold.
   */
  static from<D extends Dtype>(data: TensorSource, options: TensorOptions<D> & { dtype: D }): Tensor<D>;
  static from(data: TensorSource, options?: TensorOptions): Tensor;
  static from(data: unknown, options: TensorOptions = {}): Tensor {
    const { shape, dtype } = options;
    if (dtype !== undefined && !isDtype(dtype)) {
      throw new InputError("dtype", `one of ${names().join(", ")}`, show(dtype));
    }
    if (tagOf(data) !== undefined) return wrap(data as TensorData, shape, dtype);
    if (Array.isArray(data)) return fromList(data, shape, dtype);
    if (!isTensorLike(data)) {
      throw new InputError("data", "a typed array, an array of numbers, or a Tensor", show(data));
    }
    const tensor = toTensor(data);
    const shaped = shape === undefined ? tensor : tensor.reshape(shape);
    return dtype === undefined || dtype === shaped.dtype ? shaped : convert(shaped, dtype);
  }

  /** A tensor of parts that are known to fit; `shape` is frozen. Not for users. @internal */
  static trusted<D extends Dtype>(data: Carriers[D], shape: readonly number[], dtype: D): Tensor<D> {
    return new Tensor(data, shape, dtype);
  }

  /** Tensors of one shape and dtype, copied side by side along a new first dimension. */
  static stack<D extends Dtype>(tensors: readonly TensorLike<D>[]): Tensor<D> {
    const { parts, shape, dtype } = sameKind(tensors);
    parts.forEach((part, i) => {
      if (showShape(part.shape) !== showShape(shape)) {
        throw new InputError(
          `tensors[${i}]`,
          `shape ${showShape(shape)} as tensors[0]`,
          showShape(part.shape),
        );
      }
    });
    return join(parts, [parts.length, ...shape], dtype);
  }

  /**
   * Tensors of one dtype, copied one after another along their first dimension; the other dimensions must be
   * equal.
   */
  static concat<D extends Dtype>(tensors: readonly TensorLike<D>[]): Tensor<D> {
    const { parts, shape, dtype } = sameKind(tensors);
    const inner = shape.slice(1);
    let rows = 0;
    parts.forEach((part, i) => {
      if (part.shape.length === 0 || showShape(part.shape.slice(1)) !== showShape(inner)) {
        const expected = showShape(["rows", ...inner]);
        throw new InputError(`tensors[${i}]`, `shape ${expected} as tensors[0]`, showShape(part.shape));
      }
      rows += part.shape[0];
    });
    return join(parts, [rows, ...inner], dtype);
  }

  /** Size of the first dimension: the rows of a batch. 1 for a scalar. */
  get rows(): number {
    return this.shape.length === 0 ? 1 : this.shape[0];
  }

  /** Number of elements. */
  get size(): number {
    return elementsOf(this.shape);
  }

  /** Size of the data in bytes. */
  get bytes(): number {
    return this.size * dtypes[this.dtype].bytes;
  }

  /** Whether the tensor has this dtype, in a way that TypeScript understands. */
  is<T extends Dtype>(dtype: T): this is Tensor<T> {
    return (this.dtype as Dtype) === dtype;
  }

  /** The same data in another shape; one dimension may be -1, whatever is left. Shares the data. */
  reshape(shape: readonly number[]): Tensor<D> {
    const size = this.size;
    const open = Array.isArray(shape) ? shape.indexOf(-1) : -1;
    const dims = checkShape(open === -1 ? shape : shape.with(open, 1), "shape");
    const known = elementsOf(dims);
    if (open === -1) checkElements("shape", dims, known, size);
    // A known part without elements fits nothing: the remainder is NaN.
    else if (size % known !== 0) {
      throw new InputError("shape", `a shape that divides ${size} elements`, showShape(shape));
    }
    return new Tensor(
      this.data,
      open === -1 ? dims : Object.freeze(dims.with(open, size / known)),
      this.dtype,
    );
  }

  /**
   * Cuts along the first dimension into parts of these many rows, by default of one row each. The parts keep
   * the dimension and share the data: `concat` is the way back.
   */
  split(sizes?: readonly number[]): Tensor<D>[] {
    if (this.shape.length === 0)
      throw new InputError("tensor", "at least one dimension to split", "a scalar");
    const inner = this.shape.slice(1);
    const parts =
      sizes === undefined ? new Array<number>(this.shape[0]).fill(1) : checkSizes(sizes, this.shape[0]);
    const rowElements = elementsOf(inner);
    let at = 0;
    return parts.map((rows) => {
      const data = this.data.subarray(at * rowElements, (at + rows) * rowElements) as Carriers[D];
      at += rows;
      return new Tensor(data, Object.freeze([rows, ...inner]), this.dtype);
    });
  }

  /** `float32 [1, 3] 0.5, 1, 1.5`, cut after eight elements. */
  toString(): string {
    const shown = Array.from({ length: Math.min(8, this.size) }, (_, i) => String(valueOf(this, i)));
    if (this.size > shown.length) shown.push("...");
    return `${this.dtype} ${showShape(this.shape)} ${shown.join(", ")}`.trimEnd();
  }
}

/** Whether a value is a Tensor, or the plain object that a posted one has become. Reads no property of it. */
export function isTensorLike(value: unknown): value is TensorLike {
  if (typeof value !== "object" || value === null) return false;
  return value instanceof Tensor || ("data" in value && "shape" in value && "dtype" in value);
}

/** A checked Tensor of a TensorLike. Each property is read once. Throws InputError for `input`. */
export function toTensor<D extends Dtype>(value: TensorLike<D>, input = "data"): Tensor<D> {
  const { data, dtype } = value;
  const shape = checkShape(value.shape, input);
  if (!isDtype(dtype)) throw new InputError(input, `a dtype, one of ${names().join(", ")}`, show(dtype));
  const carrier = checkCarrier(data, dtype, input) as Carriers[D];
  checkElements(input, shape, elementsOf(shape), lengthOf(carrier));
  return value instanceof Tensor ? value : Tensor.trusted(carrier, shape, dtype);
}

/** `data` as the carrier of `dtype`: itself, or the same bytes seen as one. Throws InputError. */
export function checkCarrier(data: unknown, dtype: Dtype, input: string): TensorData {
  const { tag, alias, carrier } = dtypes[dtype];
  const got = tagOf(data);
  if (got === undefined || (got !== tag && got !== alias)) {
    throw new InputError(input, showDtype(dtype), showSafely(data));
  }
  const view = data as TensorData;
  const length = lengthOf(view);
  if (length === 0 && isDetached(view))
    throw new InputError(input, showDtype(dtype), `a ${got} whose buffer is detached`);
  return got === tag ? view : new carrier(bufferOf(view), byteOffsetOf(view), length);
}

function wrap(data: TensorData, shape: unknown, dtype: Dtype | undefined): Tensor {
  const type = dtype ?? dtypeOfTag(tagOf(data)!);
  if (type === undefined) throw new InputError("data", "a typed array that carries a dtype", show(data));
  const carrier = checkCarrier(data, type, "data");
  const length = lengthOf(carrier);
  const dims = checkShape(shape === undefined ? [length] : shape, "shape");
  checkElements("shape", dims, elementsOf(dims), length);
  return Tensor.trusted(carrier, dims, type);
}

function fromList(list: readonly unknown[], shape: unknown, dtype: Dtype | undefined): Tensor {
  const flat = flatten(list);
  const dims = checkShape(shape === undefined ? flat.shape : shape, "shape");
  checkElements("shape", dims, elementsOf(dims), flat.values.length);
  const type = dtype ?? dtypeOfValue(flat.values[0]);
  return Tensor.trusted(encodeValues(flat.values, type), dims, type);
}

function sameKind<D extends Dtype>(
  tensors: readonly TensorLike<D>[],
): {
  parts: Tensor<D>[];
  shape: readonly number[];
  dtype: D;
} {
  if (!Array.isArray(tensors)) throw new InputError("tensors", "an array of tensors", show(tensors));
  if (tensors.length === 0) throw new InputError("tensors", "at least one tensor", "none");
  const parts = Array.from(tensors as readonly TensorLike<D>[], (part, i) => {
    if (!isTensorLike(part)) throw new InputError(`tensors[${i}]`, "a Tensor", show(part));
    return toTensor(part, `tensors[${i}]`);
  });
  const { shape, dtype } = parts[0];
  parts.forEach((part, i) => {
    if (part.dtype !== dtype) throw new InputError(`tensors[${i}]`, `${dtype} as tensors[0]`, part.dtype);
  });
  return { parts, shape, dtype };
}

function join<D extends Dtype>(parts: readonly Tensor<D>[], shape: readonly number[], dtype: D): Tensor<D> {
  const dims = checkShape(shape, "tensors");
  const data = new dtypes[dtype].carrier(elementsOf(dims));
  let at = 0;
  for (const part of parts) {
    data.set(part.data as never, at);
    at += part.data.length;
  }
  return Tensor.trusted(data as Carriers[D], dims, dtype);
}

function checkSizes(sizes: unknown, rows: number): readonly number[] {
  if (!Array.isArray(sizes)) throw new InputError("sizes", "an array of row counts", show(sizes));
  const counts = Array.from(sizes as unknown[], (size, i) => {
    if (typeof size === "number" && Number.isInteger(size) && size >= 0) return size;
    throw new InputError("sizes", `an integer of at least 0 at sizes[${i}]`, show(size));
  });
  const sum = counts.reduce((total, count) => total + count, 0);
  if (sum !== rows) throw new InputError("sizes", `row counts that add up to ${rows}`, `${sum}`);
  return counts;
}

/** An element as a number, bigint or boolean. */
function valueOf({ data, dtype }: Tensor, index: number): number | bigint | boolean {
  const value = data[index];
  if (dtype === "bool") return value !== 0;
  if (dtype === "float16") return float16Value(value as number);
  return dtype === "bfloat16" ? bfloat16Value(value as number) : value;
}

/**
 * A copy in another dtype. Floats take every number, 64-bit integers and booleans included; integers must be
 * exact.
 */
function convert(tensor: Tensor, dtype: Dtype): Tensor {
  const toFloat = dtypes[dtype].range === null;
  const values = Array.from({ length: tensor.size }, (_, i) => {
    const value = valueOf(tensor, i);
    return toFloat ? Number(value) : value;
  });
  return Tensor.trusted(encodeValues(values, dtype), tensor.shape, dtype);
}
