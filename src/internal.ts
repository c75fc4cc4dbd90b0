/**
 * What the command line and the server use besides index.ts. It is no entry of the package, so users cannot
 * import it.
 */

export { nearest } from "./nearest.ts";
export { loadNative } from "./native/load.ts";
export { environment, koffiVersion } from "./native/locate.ts";
export { onnxruntimes, tensorrtPaths } from "./pipe/load-message.ts";
export { inspectEngineFile } from "./backends/engine-file.ts";
export type { EngineFile } from "./backends/engine-file.ts";
export { callerOf } from "./pipe/callable.ts";
export { parseConfig } from "./pipe/config.ts";
export { dtypeOfNumber, dtypes, isDtype } from "./pipe/dtype.ts";
export { batchOf } from "./onnx/batch.ts";
export { checkExternalData } from "./onnx/external-data.ts";
export { readModelFile } from "./onnx/check.ts";
export type { CheckedModel } from "./onnx/check.ts";
export type { ModelInfo, ValueInfo } from "./onnx/model-info.ts";
