/** What is known of a model without its weights. */

export interface ModelInfo {
  /** Version of the file format. */
  irVersion: number;
  /** Operator sets by domain; "" is ONNX's own. */
  opsets: readonly { domain: string; version: number }[];
  /** Name and version of what wrote the file; may be empty. */
  producer: string;
  /** Name of the graph; may be empty. */
  graph: string;
  /** In the model's order, without inputs that only repeat an initializer. */
  inputs: readonly ValueInfo[];
  outputs: readonly ValueInfo[];
  /** Weights of the graph itself, and its nodes; those of subgraphs are not counted. */
  initializerCount: number;
  nodeCount: number;
  /** Whether any of its constants is float16 or bfloat16. */
  halfWeights: boolean;
  /**
   * Every operator that occurs, subgraphs and functions included: sorted, "domain::Op" outside ONNX's own
   * domain.
   */
  opTypes: readonly string[];
  /** How often each of them occurs, in the same order. */
  opCounts: Readonly<Record<string, number>>;
  /** Tensors whose bytes lie in other files, wherever in the model they occur. */
  externalData: readonly ExternalTensor[];
}

export type ValueKind = "tensor" | "sparse tensor" | "sequence" | "map" | "optional" | "opaque" | "unknown";

/** One input or output. */
export interface ValueInfo {
  name: string;
  kind: ValueKind;
  /** As in `onnxDtypes`, or "type N" for a newer number; empty unless `kind` is a tensor. */
  dtype: string;
  /**
   * Full shape: a size, the name of an open dimension, or -1 for an open dimension without a name. Some
   * exporters write 0 for open. null: the model does not say.
   */
  dims: readonly (number | string)[] | null;
}

export interface ExternalTensor {
  /** Name of the initializer; may be empty for a tensor inside an attribute. */
  name: string;
  /** Path as the model gives it. Nothing about it has been checked. */
  location: string;
  /** Where the tensor begins in that file, in bytes, as the model gives it: "0" if it does not. */
  offset: string;
  /** How many bytes it has there, as the model gives it; null if it does not. */
  length: string | null;
  /** What dtype and shape ask for, in bytes; null if they do not say. */
  bytes: number | null;
}
