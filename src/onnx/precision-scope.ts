/** The values of one graph while it is converted: their types, and which forms of them there are. */

import { onnxDtypes } from "./dtypes.ts";
import type { OnnxDtype } from "./dtypes.ts";
import type { Graph, Node } from "./graph.ts";
import { freeName, makeCast, makeInitializer } from "./graph-write.ts";
import { toHalves } from "./halves.ts";
import type { HalfDtype, Halves } from "./halves.ts";
import { find, tensorOf } from "./value-types.ts";
import { float32Values } from "./weights.ts";

const suffixes: Readonly<Record<HalfDtype, string>> = { float16: "fp16", bfloat16: "bf16" };
const float32 = onnxDtypes.float32.number;

export class Scope {
  readonly #graph: Graph;
  readonly #outer: Scope | null;
  readonly #dtype: HalfDtype;
  /** Names of all values of the model. */
  readonly #taken: Set<string>;
  readonly #types = new Map<string, number | undefined>();
  /** Float32 weights and constants. */
  readonly #constants = new Map<string, Constant>();
  /** 16-bit forms by the value's name. */
  readonly #halves = new Map<string, string>();
  /** Those of them that are weights. */
  readonly #weights = new Set<string>();
  /** Values that a converted node gave, and that nobody has wanted in float32 yet. */
  readonly #halfOnly = new Set<string>();
  /** The nodes of the converted graph. */
  readonly nodes: Node[] = [];

  constructor(graph: Graph, outer: Scope | null, dtype: HalfDtype, taken: Set<string>) {
    this.#graph = graph;
    this.#outer = outer;
    this.#dtype = dtype;
    this.#taken = taken;
    for (const { info } of [...graph.values, ...graph.outputs, ...graph.inputs])
      this.#types.set(info.name, numberOf(info.dtype));
    for (const { name, dtype: type, dims, content } of graph.initializers) {
      this.#types.set(name, type);
      if (type === float32) this.#constants.set(name, { dims, content, halves: null });
    }
    for (const node of graph.nodes) {
      if (node.op !== "Constant" || node.domain !== "") continue;
      const content = tensorOf(find(node, "value"));
      const dims = content === null ? undefined : float32Values(content)?.dims;
      if (dims !== undefined)
        this.#constants.set(node.outputs[0]!, { dims, content: content!, halves: null });
    }
  }

  readonly typeOf = (name: string): number | undefined =>
    this.#types.has(name) ? this.#types.get(name) : this.#outer?.typeOf(name);

  /** What the model itself says of a value goes before what its node says. */
  setType(name: string, type: number | undefined): void {
    if (this.#types.get(name) === undefined) this.#types.set(name, type);
  }

  /** Whether a node gave this value in 16 bits. */
  hasHalf(name: string): boolean {
    if (this.#constants.has(name) || this.#weights.has(name)) return false;
    return this.#halves.has(name) || (!this.#types.has(name) && (this.#outer?.hasHalf(name) ?? false));
  }

  /** Dimensions of a float32 constant; -1 if the value is none. */
  constantRank(name: string): number {
    return this.#ownerOf(name)?.constantOf(name).dims.length ?? -1;
  }

  /** Whether the value can be had in 16 bits: it is no constant that would become infinite. */
  fitsHalf(name: string): boolean {
    const owner = this.#ownerOf(name);
    return owner === null || owner.#halvesOf(owner.constantOf(name)).overflows === 0;
  }

  /** Name of the value's 16-bit form, which is made if there is none. */
  half(name: string): string {
    const owner = this.#ownerOf(name);
    if (owner !== null && owner !== this) return owner.half(name);
    const known = this.#lookUp(name);
    if (known !== undefined) return known;
    const half = this.#newHalf(name);
    if (owner === null) {
      this.nodes.push(makeCast(name, half, this.#dtype));
      return half;
    }
    const constant = this.constantOf(name);
    const { dims } = constant;
    const data = this.#halvesOf(constant).bits;
    this.#graph.initializers.push(makeInitializer(half, { dtype: this.#dtype, dims, data }));
    return half;
  }

  /** The value was cast from `half`, which has the 16-bit type: nothing is lost by using that itself. */
  alias(name: string, half: string): void {
    this.#halves.set(name, half);
    if (this.#graph.initializers.some((initializer) => initializer.name === half)) this.#weights.add(name);
  }

  /** A converted node gives this value: the name to give it under. */
  defineHalf(name: string): string {
    this.#halfOnly.add(name);
    return this.#newHalf(name);
  }

  /** Somebody uses the value under its own name. */
  needFloat32(name: string): void {
    if (!this.#halfOnly.delete(name)) return;
    const half = this.#halves.get(name)!;
    this.nodes.push(makeCast(half, name, "float32", freeName(`${half}_float32`, this.#taken)));
  }

  /** Leaves out the float32 form of constants that nobody uses any more, and what is said of such values. */
  finish(): void {
    const used = new Set<string>();
    usedNames(this.#graph, used);
    const gone = (name: string): boolean =>
      !used.has(name) && (this.#halfOnly.has(name) || this.#isKept(name));
    const graph = this.#graph;
    graph.initializers = graph.initializers.filter(({ name }) => !gone(name));
    graph.inputs = graph.inputs.filter(({ info }) => !gone(info.name));
    graph.values = graph.values.filter(({ info }) => !gone(info.name));
    graph.nodes = graph.nodes.filter(
      ({ op, outputs }) => !/^(Constant|Cast)$/.test(op) || !gone(outputs[0]!),
    );
  }

  /** Whether the value is there in 16 bits anyway. */
  #isKept(name: string): boolean {
    return this.#halves.has(name) && (this.#constants.has(name) || this.#weights.has(name));
  }

  /** The scope whose constant this is; null if it is none. */
  #ownerOf(name: string): Scope | null {
    if (this.#constants.has(name)) return this;
    return this.#types.has(name) || this.#outer === null ? null : this.#outer.#ownerOf(name);
  }

  #lookUp(name: string): string | undefined {
    const known = this.#halves.get(name);
    if (known !== undefined || this.#types.has(name) || this.#outer === null) return known;
    return this.#outer.#lookUp(name);
  }

  #newHalf(name: string): string {
    const half = freeName(`${name}_${suffixes[this.#dtype]}`, this.#taken);
    this.#halves.set(name, half);
    return half;
  }

  /** A constant of this scope. */
  constantOf(name: string): Constant {
    return this.#constants.get(name)!;
  }

  #halvesOf(constant: Constant): Halves {
    const { content } = constant;
    // A tensor that has not as many values as its shape says stays as it is, for the engine to refuse.
    const none: Halves = { bits: new Uint16Array(0), overflows: 1 };
    const values = constant.halves === null ? float32Values(content)?.values : undefined;
    constant.halves ??= values === undefined ? none : toHalves(values, this.#dtype);
    return constant.halves;
  }
}

interface Constant {
  dims: readonly number[];
  /** The TensorProto. */
  content: Uint8Array;
  halves: Halves | null;
}

function numberOf(dtype: string): number | undefined {
  return dtype in onnxDtypes ? onnxDtypes[dtype as OnnxDtype].number : undefined;
}

/** What the nodes of a graph use, and its outputs; of the graphs within it too. */
function usedNames(graph: Graph, to: Set<string>): void {
  for (const { info } of graph.outputs) to.add(info.name);
  for (const { inputs, attributes } of graph.nodes) {
    for (const name of inputs) to.add(name);
    for (const { graphs } of attributes) for (const inner of graphs) usedNames(inner.graph, to);
  }
}
