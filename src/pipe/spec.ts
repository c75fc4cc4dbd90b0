/**
 * What the scheduler and the callers need to know about a loaded model: the item shapes of its tensors, the
 * room that each gets in a slot, and how many rows go together.
 */

import { ConfigError, ModelLoadError } from "../errors.ts";
import type { MemoryShape } from "../memory/layout.ts";
import { DEVICE_REF_BYTES, MAX_RANK } from "../native/abi.ts";
import type { OpenDims } from "../protocol.ts";
import { queueSlots, roomForOpen } from "./capacity.ts";
import type { ParsedConfig } from "./config.ts";
import { PINNED_BYTES } from "./config-tensorrt.ts";
import type { Limit } from "./config-values.ts";
import { readDescription } from "./describe-model.ts";
import type { ModelDescription, TensorDescription } from "./describe-model.ts";
import { dtypes } from "./dtype.ts";
import { elementsOf, showRows, showShape } from "./shape.ts";
import type { TensorSpec } from "./types.ts";

/** Shapes that may wait side by side in one pipe when inner dimensions are open. */
const GROUPS = 64;

/** One output, or what inputs and outputs have in common. Plain data. */
export interface TensorLayout extends TensorDescription {
  /**
   * Largest item shape: the item shape itself if all of it is fixed, else from `max`; null if it is not
   * known.
   */
  largest: readonly number[] | null;
  /** Room for one item in a slot. */
  strideBytes: number;
}

export interface InputSpec extends TensorLayout {
  shape: readonly number[];
  largest: readonly number[];
  /** Smallest item shape: `min` where a dimension is open, else 0 there. */
  smallest: readonly number[];
  /** Which dimensions of the item shape are open. */
  open: readonly number[];
  /** Elements of one item; -1 if a dimension is open. */
  itemElements: number;
  /** Class name of the typed array that carries the dtype. */
  tag: string;
}

/** The CUDA devices that instances run on, in turn, and whether results stay there. */
export interface DeviceSpec {
  /** None after a reload with a backend that takes host memory. */
  ids: readonly number[];
  outputs: boolean;
  /** Of each caller's slots: as many bytes may be pinned, so that devices read them by themselves. */
  pinnedBytes: number;
}

/** Plain data, so that it can be posted to other threads. */
export interface ModelSpec {
  /** The C library's name of the backend: "OnnxTensor", "Process". */
  backend: string;
  /** null: it takes and gives host memory alone. */
  device: DeviceSpec | null;
  engine: string;
  /** Path of the engine's library; empty if the backend is built in. */
  engineLibrary: string;
  /** What a person should know of how it was loaded; empty: nothing. */
  note: string;
  batch: "dynamic" | "fixed" | "none";
  /** Rows of a "fixed" batch, else 1. */
  batchSize: number;
  inputs: readonly InputSpec[];
  outputs: readonly TensorLayout[];
  /** Rows of the largest and smallest batch. */
  maxRows: number;
  minRows: number;
  /** Slots of one caller. */
  maxQueue: number;
  /** Rows that one request may have: `maxQueue`, or 1 for a model without a batch dimension. */
  requestRows: number;
  /** The input of a model that has only one, of fixed shape; else null. */
  only: InputSpec | null;
}

/**
 * Joins what the model says with what the configuration asks for. Throws ConfigError or ModelLoadError where
 * they differ.
 */
export function modelSpec(description: unknown, config: ParsedConfig): ModelSpec {
  const model = readDescription(description);
  const { batch, batchSize } = model;
  const path =
    typeof config.model === "string" ? config.model : config.model === null ? model.backend : "bytes";
  checkInputs(model, path);
  const maxRows = largestBatch(model, config.max, path);
  const minRows = smallestBatch(model, config.min, maxRows);
  const largest = config.max?.shapes ? fullShapes("max", config.max, model, config.max.shapes) : null;
  const smallest = config.min?.shapes ? fullShapes("min", config.min, model, config.min.shapes) : null;
  if (largest === null) checkNoneOpen(model, config.max, maxRows);
  const inputs = model.inputs.map((input, k) => inputSpec(input, largest?.[k], smallest?.[k]));
  const device = deviceSpec(model, config);
  const outputs = outputLayouts(model, inputs, device);
  const slotBytes = slotStrides({ inputs, outputs, device }).reduce((sum, bytes) => sum + bytes, 0);
  const maxQueue = queueSlots(config, slotBytes, maxRows);
  const only = inputs.length === 1 && inputs[0].open.length === 0 ? inputs[0] : null;
  const requestRows = batch === "none" ? 1 : maxQueue;
  const { backend, engine, library: engineLibrary, note } = model;
  return {
    backend,
    device,
    engine,
    engineLibrary,
    note,
    batch,
    batchSize,
    inputs,
    outputs,
    maxRows,
    minRows,
    maxQueue,
    requestRows,
    only,
  };
}

/** How the shared memory of a pipe for this model is laid out. */
export function memoryShape(spec: ModelSpec, config: ParsedConfig): MemoryShape {
  const inputDims = spec.inputs.reduce((sum, { open }) => sum + open.length, 0);
  const openOutputs = spec.outputs.filter(({ largest }) => largest === null).length;
  return {
    instances: config.instanceNum,
    channels: config.maxCallers,
    slots: spec.maxQueue,
    maxRows: spec.maxRows,
    inputDims,
    outputDims: openOutputs * MAX_RANK,
    strideBytes: slotStrides(spec),
    groups: inputDims === 0 ? 1 : GROUPS,
  };
}

/**
 * Room in a slot for one item of each tensor, inputs first; behind them, where inputs may be in device
 * memory, for a record of each input that says so.
 */
export function slotStrides({
  inputs,
  outputs,
  device,
}: Pick<ModelSpec, "inputs" | "outputs" | "device">): number[] {
  const strides = [...inputs, ...outputs].map(({ strideBytes }) => strideBytes);
  return device === null ? strides : [...strides, inputs.length * DEVICE_REF_BYTES];
}

/** What an instance thread has to know about the tensors' shapes. */
export function openDims(tensors: readonly TensorLayout[]): OpenDims[] {
  return tensors.map(({ shape, largest }) => ({ shape, largest }));
}

/** Inputs or outputs as `describe()` shows them: full shapes, the batch dimension first. */
export function specForPublic(spec: ModelSpec, tensors: readonly TensorLayout[]): TensorSpec[] {
  return tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape: shape && fullShape(spec, shape) }));
}

/** A shape as the model states it, with its batch dimension. */
export function fullShape(
  model: { batch: ModelSpec["batch"]; batchSize: number },
  item: readonly number[],
): readonly number[] {
  if (model.batch === "none") return item;
  return [model.batch === "dynamic" ? -1 : model.batchSize, ...item];
}

function checkInputs({ inputs }: ModelDescription, path: string): void {
  if (inputs.length === 0) {
    throw new ModelLoadError(
      path,
      "parse",
      `Cannot use model ${path}: it has no inputs, so nothing can be asked of it`,
    );
  }
  for (const { name, shape } of inputs) {
    if (shape !== null) continue;
    const text = `Cannot use model ${path}: input "${name}" has no known number of dimensions`;
    throw new ModelLoadError(path, "parse", text);
  }
}

function largestBatch(model: ModelDescription, max: Limit | null, path: string): number {
  const { batch, batchSize } = model;
  const asked = askedRows("max", model, max);
  if (asked === null) return batch === "fixed" ? batchSize : 1;
  const limit = batch === "dynamic" ? asked : batchSize;
  if (asked <= limit) return asked;
  const why =
    batch === "fixed"
      ? `dimension 0 of input "${model.inputs[0].name}" is ${batchSize}`
      : "its inputs and outputs have no common first dimension to join batches along";
  throw new ModelLoadError(path, "parse", `Cannot use model ${path}: max is ${showRows(asked)}, but ${why}`);
}

function smallestBatch(model: ModelDescription, min: Limit | null, maxRows: number): number {
  const rows = askedRows("min", model, min) ?? 1;
  if (rows <= maxRows) return rows;
  throw new ConfigError("min", min!.given, `at most the largest batch, which is ${showRows(maxRows)}`);
}

/** Rows that `max` or `min` asks for; full shapes of a model without a batch dimension ask for none. */
function askedRows(field: string, { batch }: ModelDescription, limit: Limit | null): number | null {
  if (limit === null || (batch === "none" && limit.shapes !== null)) return null;
  if (limit.rows !== null) return limit.rows;
  throw new ConfigError(field, limit.given, "shapes that all begin with the same number of rows");
}

/**
 * Item shapes from full shapes that fit the model's inputs: as many, and equal wherever the model's are
 * fixed.
 */
function fullShapes(
  field: string,
  limit: Limit,
  model: ModelDescription,
  shapes: readonly (readonly number[])[],
): readonly (readonly number[])[] {
  const { inputs, batch } = model;
  if (shapes.length !== inputs.length) {
    const names = inputs.map(({ name }) => `"${name}"`).join(", ");
    const expected = `${inputs.length} shapes with "," between them, for the inputs ${names}`;
    throw new ConfigError(field, limit.given, expected, { hint: `it has ${shapes.length}` });
  }
  return inputs.map(({ name, shape }, k) => {
    const item = batch === "none" ? shapes[k] : shapes[k].slice(1);
    const fits = item.length === shape!.length && shape!.every((dim, d) => dim === -1 || dim === item[d]);
    if (fits) return item;
    const expected = `a shape for input "${name}" that fits ${showShape(fullShape(model, shape!))}`;
    throw new ConfigError(field, limit.given, expected, { hint: `it has ${shapes[k].join("x")}` });
  });
}

function inputSpec(
  input: TensorDescription,
  largest: readonly number[] | undefined,
  smallest: readonly number[] | undefined,
): InputSpec {
  const shape = input.shape!;
  const open = shape.flatMap((dim, d) => (dim === -1 ? [d] : []));
  const { bytes, tag } = dtypes[input.dtype];
  const biggest = largest ?? shape;
  return {
    ...input,
    shape,
    largest: biggest,
    smallest: smallest ?? shape.map((dim) => Math.max(dim, 0)),
    open,
    itemElements: open.length === 0 ? elementsOf(shape) : -1,
    strideBytes: elementsOf(biggest) * bytes,
    tag,
  };
}

/** Open inner dimensions need full shapes; the example shows the model's own with sizes filled in. */
function checkNoneOpen(model: ModelDescription, max: Limit | null, maxRows: number): void {
  const open = model.inputs.find(({ shape }) => shape!.includes(-1));
  if (open === undefined) return;
  const example = model.inputs.map(({ shape }) => {
    const item = shape!.map((dim) => (dim === -1 ? 640 : dim));
    return (model.batch === "none" ? item : [maxRows, ...item]).join("x");
  });
  const full = showShape(fullShape(model, open.shape!));
  const why = `because input "${open.name}" has the shape ${full}`;
  const expected = `full shapes such as "${example.join(",")}", ${why}`;
  throw new ConfigError("max", max?.given, expected, { hint: "-1 is open" });
}

/** A child process has device memory of its own. */
function deviceSpec({ backend }: ModelDescription, { tensorrt, output }: ParsedConfig): DeviceSpec | null {
  if (backend !== "TensorrtTensor") return null;
  const { deviceIds, pinnedBytes } = tensorrt;
  return { ids: deviceIds ?? [0], outputs: output === "device", pinnedBytes: pinnedBytes ?? PINNED_BYTES };
}

/** Outputs that stay on the device need no room. */
function outputLayouts(
  model: ModelDescription,
  inputs: readonly InputSpec[],
  device: DeviceSpec | null,
): TensorLayout[] {
  const fixedBytes = ({ shape, dtype }: TensorDescription): number | null =>
    shape === null || shape.includes(-1) ? null : elementsOf(shape) * dtypes[dtype].bytes;
  const sizes = model.outputs.map(fixedBytes);
  const inputBytes = inputs.map(({ strideBytes }) => strideBytes);
  const room = roomForOpen(inputBytes, sizes);
  return model.outputs.map((output, k) => ({
    ...output,
    largest: sizes[k] === null ? null : output.shape,
    strideBytes: device?.outputs ? 0 : (sizes[k] ?? room),
  }));
}
