/**
 * Converts a float32 graph so that layers compute in 16 bits: for engines that take the types of a model as
 * they are. Inputs and outputs stay float32.
 *
 * Every value keeps its name and its float32 form, as far as anybody wants it. A node that is converted reads
 * and writes 16-bit forms under names of their own; Casts make one form of the other, each once. So nodes
 * that are not converted are not touched, and types of attributes (Cast, Constant, ...) stay right.
 */

import { ConfigError } from "../errors.ts";
import { onnxDtypes } from "./dtypes.ts";
import type { Graph, Model, Node } from "./graph.ts";
import { namesIn } from "./graph-write.ts";
import type { HalfDtype } from "./halves.ts";
import { LayerNames } from "./layer-names.ts";
import { isTyped, operatorOf } from "./operators.ts";
import type { Operator } from "./operators.ts";
import { Scope } from "./precision-scope.ts";
import { outputType, typeOfNode } from "./value-types.ts";

/** Which nodes compute in 16 bits. Plain data. */
export interface Conversion {
  dtype: HalfDtype;
  /** All nodes that the rules allow, or only those that `half` names. */
  all: boolean;
  /** Names of nodes or of their outputs, `*` for any text: always, and never, in 16 bits. */
  half: readonly string[];
  float32: readonly string[];
}

/** Opset from which on the operators that matter take bfloat16. */
const bfloat16Opset = 13;

const float32 = onnxDtypes.float32.number;

/**
 * Converts. Changes `model`; returns how many nodes compute in 16 bits now. A node with a weight that
 * the format cannot hold stays in float32. Throws ConfigError for a layer that is named and not there, or
 * cannot be converted.
 */
export function convertPrecision(model: Model, conversion: Conversion): number {
  const { dtype } = conversion;
  if (dtype === "bfloat16" && model.opset < bfloat16Opset) {
    const expected = `a model of opset ${bfloat16Opset} or later, or fp16`;
    throw new ConfigError("precision", "bf16", expected, { hint: `its opset is ${model.opset}` });
  }
  const converter = new Converter(conversion, namesIn(model.graph));
  const scope = converter.convert(model.graph, null);
  converter.names.checkUsed();
  scope.finish();
  return converter.count;
}

class Converter {
  readonly names: LayerNames;
  readonly #all: boolean;
  readonly #dtype: HalfDtype;
  readonly #taken: Set<string>;
  count = 0;

  constructor({ dtype, all, half, float32: full }: Conversion, taken: Set<string>) {
    this.names = new LayerNames(dtype === "float16" ? "fp16" : "bf16", half, full);
    this.#all = all;
    this.#dtype = dtype;
    this.#taken = taken;
  }

  /** Converts one graph, inside `outer` if it is in another one. The caller finishes the scope. */
  convert(graph: Graph, outer: Scope | null): Scope {
    const scope = new Scope(graph, outer, this.#dtype, this.#taken);
    for (const node of graph.nodes) {
      this.#node(node, scope);
      node.outputs.forEach((name, index) => scope.setType(name, outputType(node, index, scope.typeOf)));
      if (this.#widens(node, scope)) scope.alias(node.outputs[0]!, node.inputs[0]!);
    }
    for (const { info } of graph.outputs) scope.needFloat32(info.name);
    graph.nodes = scope.nodes;
    return scope;
  }

  /** Whether a node casts to float32 what had the 16-bit type, as weights that are kept small. */
  #widens(node: Node, scope: Scope): boolean {
    if (node.op !== "Cast" || node.domain !== "" || scope.typeOf(node.outputs[0]!) !== float32) return false;
    return scope.typeOf(node.inputs[0]!) === onnxDtypes[this.#dtype].number;
  }

  #node(node: Node, scope: Scope): void {
    const operator = operatorOf(node);
    const named = this.names.find(node);
    const wanted = named ?? (this.#all && this.#wants(node, operator, scope));
    const convertible = operator !== null && isFloat32(node, scope) && fits(node, operator, scope);
    if (named === true && !convertible) this.names.refuse(node);
    if (wanted && convertible) return this.#convertNode(node, operator, scope);
    for (const input of node.inputs) scope.needFloat32(input);
    const inner = node.attributes.flatMap(({ graphs }) => graphs);
    // What the graphs within use of this one, whichever form they use.
    for (const { graph } of inner) for (const name of namesIn(graph)) scope.needFloat32(name);
    for (const { graph } of inner) this.convert(graph, scope).finish();
    scope.nodes.push(node);
  }

  /** Whether the rules want this node in 16 bits. */
  #wants(node: Node, operator: Operator | null, scope: Scope): boolean {
    if (operator === null || operator.rule === "float32") return false;
    if (operator.rule === "always") return true;
    // A table of embeddings.
    if (node.op === "Gather" && scope.constantRank(node.inputs[0] ?? "") >= 2) return true;
    return node.inputs.some((input, index) => isTyped(operator, index) && scope.hasHalf(input));
  }

  #convertNode(node: Node, operator: Operator, scope: Scope): void {
    const inputs = node.inputs.map((input, index) => {
      if (input !== "" && isTyped(operator, index)) return scope.half(input);
      scope.needFloat32(input);
      return input;
    });
    const outputs = node.outputs.map((output, index) =>
      output === "" || index >= operator.outputs ? output : scope.defineHalf(output),
    );
    scope.nodes.push({ ...node, inputs, outputs });
    this.count++;
  }
}

/**
 * Whether all of its constants are within the format's range. A bound of Clip's may become infinite: no
 * value is beyond it then, as before.
 */
function fits(node: Node, operator: Operator, scope: Scope): boolean {
  if (node.op === "Clip") return true;
  return node.inputs.every((input, index) => !isTyped(operator, index) || scope.fitsHalf(input));
}

function isFloat32(node: Node, scope: Scope): boolean {
  return typeOfNode(node, scope.typeOf) === float32;
}
