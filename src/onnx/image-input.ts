/**
 * Puts what is done to an image in front of a model's input, as nodes of the graph: whatever runs the model
 * then does the same. Requests bring pixels, the model gets what it was trained on.
 */

import { ConfigError } from "../errors.ts";
import type { OnnxDtype } from "./dtypes.ts";
import type { Graph, Model, Node, Value } from "./graph.ts";
import { freeName, makeCast, makeInitializer, makeNode, makeValue, namesIn } from "./graph-write.ts";

export type ImageLayout = "NCHW" | "NHWC";

/** What requests bring, and what is taken off. Plain data; null: not asked for. */
export interface ImageInput {
  /** Name of the input; null where the model has only one. */
  input: string | null;
  /** (pixel - mean) / std, a value for each channel. */
  mean: readonly number[] | null;
  std: readonly number[] | null;
  layout: ImageLayout | null;
  dtype: "uint8" | "float32" | null;
}

/** Dtypes that a normalised image may have. */
const floats: ReadonlySet<string> = new Set(["float32", "float16", "bfloat16", "float64"]);

/** How many values a pixel of an image can have, where neither `mean` nor `std` says it. */
const channelCounts: ReadonlySet<unknown> = new Set([1, 3, 4]);

/**
 * Adds the nodes. Changes `model`. Throws ConfigError where the model's inputs do not fit what was asked for.
 */
export function addImageInput({ graph }: Model, image: ImageInput): void {
  const input = findInput(graph, image);
  const { name, dtype, dims } = input.info;
  const changed = firstKey(image);
  if (!floats.has(dtype)) throw misfit(changed, image, input, "a model whose input is of floats");
  if (graph.outputs.some(({ info }) => info.name === name)) {
    throw misfit(changed, image, input, "a model whose input is not an output too");
  }
  const channels = image.mean?.length ?? image.std?.length ?? null;
  const needsLayout = channels !== null || image.layout !== null;
  const layout = needsLayout ? modelLayout(image, input, channels) : null;
  const given = image.dtype ?? (dtype as OnnxDtype);
  const turned = image.layout !== null && image.layout !== layout;
  const taken = namesIn(graph);
  const nodes: Node[] = [];
  const add = (op: string, made: (from: string, to: string) => Node): void => {
    const from = nodes.at(-1)?.outputs[0] ?? name;
    nodes.push(made(from, freeName(`${name}_${op}`, taken)));
  };
  const computed = given !== dtype || channels !== null;
  // TensorRT takes uint8 for nothing but this Cast.
  if (computed && given !== "float32") add("float32", (from, to) => makeCast(from, to, "float32"));
  const perm = permutation(dims?.length ?? 0, layout);
  if (turned) add("turned", (from, to) => makeNode("Transpose", [from], to, { perm }));
  for (const [op, key] of [
    ["Sub", "mean"],
    ["Div", "std"],
  ] as const) {
    const values = image[key];
    if (values === null) continue;
    const constant = freeName(`${name}_${key}`, taken);
    const shape = layout === "NCHW" ? [values.length, 1, 1] : [values.length];
    const data = Float32Array.from(values);
    graph.initializers.push(makeInitializer(constant, { dtype: "float32", dims: shape, data }));
    add(op.toLowerCase(), (from, to) => makeNode(op, [from, constant], to));
  }
  if (computed && dtype !== "float32") add(dtype, (from, to) => makeCast(from, to, dtype as OnnxDtype));
  const shape = turned ? turnedBack(dims!, perm) : dims;
  graph.inputs = graph.inputs.map((one) => (one === input ? makeValue(name, given, shape) : one));
  const last = nodes.at(-1);
  if (last === undefined) return;
  graph.nodes = [...nodes, ...graph.nodes.map((node) => renamed(node, name, last.outputs[0]!))];
}

/** The input that is meant. */
function findInput(graph: Graph, image: ImageInput): Value {
  const constants = new Set(graph.initializers.map(({ name }) => name));
  const inputs = graph.inputs.filter(({ info }) => !constants.has(info.name));
  const names = inputs.map(({ info }) => JSON.stringify(info.name)).join(", ");
  const field = "image_input";
  if (image.input !== null) {
    const found = inputs.find(({ info }) => info.name === image.input);
    if (found !== undefined) return found;
    throw new ConfigError(field, image.input, `one of the model's inputs, ${names}`);
  }
  if (inputs.length === 1) return inputs[0]!;
  const expected = `the name of the input that ${firstKey(image)} is for, one of ${names}`;
  throw new ConfigError(field, undefined, expected);
}

/** The key that an error is about. */
function firstKey(image: ImageInput): "mean" | "std" | "input_layout" | "input_dtype" {
  if (image.mean !== null) return "mean";
  if (image.std !== null) return "std";
  return image.layout !== null ? "input_layout" : "input_dtype";
}

/** Where the model has its channels. */
function modelLayout(image: ImageInput, input: Value, channels: number | null): ImageLayout {
  const { dims } = input.info;
  const key = firstKey(image);
  if (dims === null || dims.length < 3 || dims.length > 4) {
    throw misfit(key, image, input, "a model whose input is an image of 3 or 4 dimensions, such as Nx3xHxW");
  }
  const first = dims[dims.length - 3];
  const last = dims[dims.length - 1];
  const fits = (dim: unknown): boolean => (channels === null ? channelCounts.has(dim) : dim === channels);
  if (fits(first)) return "NCHW";
  if (fits(last)) return "NHWC";
  // A name, -1 or 0: open.
  if (channels !== null && !(Number(first) > 0)) return "NCHW";
  const expected =
    channels === null
      ? "a model whose input has 1, 3 or 4 channels"
      : `one value for each channel of the model's input`;
  throw misfit(key, image, input, expected);
}

function misfit(
  key: ReturnType<typeof firstKey>,
  image: ImageInput,
  { info }: Value,
  expected: string,
): ConfigError {
  const value = { mean: image.mean, std: image.std, input_layout: image.layout, input_dtype: image.dtype }[
    key
  ];
  const shape = info.dims === null ? "an unknown shape" : `[${info.dims.join(", ")}]`;
  const hint = `input "${info.name}" is ${info.dtype || info.kind} ${shape}`;
  return new ConfigError(key, Array.isArray(value) ? value.join(",") : value, expected, { hint });
}

/** `perm` of the Transpose from the requests' layout to the model's, which is `to`. */
function permutation(rank: number, to: ImageLayout | null): number[] {
  const perm = to === "NCHW" ? [2, 0, 1] : [1, 2, 0];
  return rank === 4 ? [0, ...perm.map((axis) => axis + 1)] : perm;
}

/** The shape that `perm` makes `dims` of. */
function turnedBack(dims: readonly (number | string)[], perm: readonly number[]): (number | string)[] {
  const before: (number | string)[] = [];
  perm.forEach((axis, d) => (before[axis] = dims[d]!));
  return before;
}

/** The node, and the graphs within it, using `to` in place of `from`. */
function renamed(node: Node, from: string, to: string): Node {
  const inputs = node.inputs.map((input) => (input === from ? to : input));
  const attributes = node.attributes.map((attribute) => ({
    ...attribute,
    graphs: attribute.graphs.map(({ field, graph }) => ({ field, graph: renamedGraph(graph, from, to) })),
  }));
  return { ...node, inputs, attributes };
}

function renamedGraph(graph: Graph, from: string, to: string): Graph {
  return { ...graph, nodes: graph.nodes.map((node) => renamed(node, from, to)) };
}
