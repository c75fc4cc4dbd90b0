/**
 * What is known of ONNX's operators: which of their inputs and outputs share the type that could be float16,
 * and whether it should be.
 *
 * The rule is that of PyTorch's automatic mixed precision ("Autocast Op Reference"): what multiplies matrices
 * runs in 16 bits; what sums up many values, or grows faster than its input, stays in float32; all else
 * takes what it is given.
 */

/** In 16 bits wherever possible; in 16 bits if its input is; in float32 unless it is named. */
export type Rule = "always" | "follow" | "float32";

export interface Operator {
  rule: Rule;
  /** Inputs of the type that the rule is about; null: all of them. */
  inputs: readonly number[] | null;
  /** How many outputs, from the first, have that type; the others never do. */
  outputs: number;
}

const table = new Map<string, Operator>();

function add(rule: Rule, names: string, inputs: Operator["inputs"] = [0], outputs = 1): void {
  for (const name of names.split(" ")) table.set(name, { rule, inputs, outputs });
}

const all = null;

add("always", "Conv ConvTranspose MatMul Gemm Einsum PRelu", all);
// Not input 4, the lengths of the sequences.
add("always", "LSTM GRU RNN", [0, 1, 2, 3, 5, 6, 7], 3);

add("follow", "Add Sub Mul Div Max Min Sum Mean Concat", all);
add("follow", "Abs Ceil Elu Erf Floor Gelu HardSigmoid HardSwish LeakyRelu Mish Neg Relu Round Selu");
add("follow", "Sigmoid Sign Softsign Tanh ThresholdedRelu Clip", all);
add("follow", "AveragePool GlobalAveragePool GlobalMaxPool MaxPool ReduceMax ReduceMin");
add("follow", "DepthToSpace Dropout Expand Flatten Gather GatherElements GatherND Identity Reshape");
// Of Resize, the scales are float32 whatever the image is.
add("follow", "Resize Slice SpaceToDepth Squeeze Tile Transpose Trilu Unsqueeze");
add("follow", "Pad ScatterElements ScatterND", [0, 2]);
add("follow", "Where", [1, 2]);
add("follow", "Split", [0], Infinity);

add("float32", "Exp Log Pow Reciprocal Sqrt Softplus Sinh Cosh Tan Asin Acos Sin Cos Atan");
add("float32", "Softmax LogSoftmax Hardmax CumSum LpNormalization MeanVarianceNormalization LRN");
add(
  "float32",
  "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMean ReduceProd ReduceSum ReduceSumSquare",
);
add("float32", "GlobalLpPool LpPool");
add("float32", "BatchNormalization InstanceNormalization", all, 3);
add("float32", "LayerNormalization GroupNormalization RMSNormalization", all);

/** null: nothing is known of it, so it stays as it is. */
export function operatorOf(node: { op: string; domain: string }): Operator | null {
  return node.domain === "" ? (table.get(node.op) ?? null) : null;
}

/** Whether input `index` has the type that could be float16. */
export function isTyped({ inputs }: Operator, index: number): boolean {
  return inputs === null || inputs.includes(index);
}
