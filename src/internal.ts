/**
 * What the command line and the server use besides index.ts. It is no entry of the package, so users cannot
 * import it.
 */

export { nearest } from "./nearest.ts";
export { checkModelFile } from "./onnx/check.ts";
export type { CheckedModel } from "./onnx/check.ts";
export type { ModelInfo, ValueInfo } from "./onnx/model-info.ts";
