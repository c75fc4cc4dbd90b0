/**
 * trtpipe: run deep-learning models fast and concurrently from TypeScript.
 *
 * `pipe(config)` loads a model and gives a function that any number of callers may call at once;
 * `attach(shared)` gives the same function to other threads.
 */

export { pipe } from "./pipe/pipe.ts";
export { build } from "./pipe/build.ts";
export type { BuildProgress } from "./pipe/build-watch.ts";
export { attach } from "./pipe/attach.ts";
export { Tensor } from "./pipe/tensor.ts";
export type { TensorData } from "./pipe/tensor.ts";
export { DeviceTensor } from "./pipe/device-tensor.ts";
export type { DeviceOptions, DeviceUsage, WrapOptions } from "./pipe/device-tensor.ts";
export type { SharedDeviceTensor } from "./pipe/device-share.ts";
export {
  ConfigError,
  DeviceLostError,
  ExecutionError,
  InputError,
  InstanceLostError,
  InvariantError,
  ModelLoadError,
  PipeClosedError,
  QueueFullError,
  TimeoutError,
  TrtPipeError,
} from "./errors.ts";
export type { ErrorCode, LoadStage } from "./errors.ts";
export type { BatchReason, PipeStats, RefusalReason } from "./pipe/stats-types.ts";
export type { ReloadKey, ReloadOptions } from "./pipe/reload-options.ts";
export type {
  Answered,
  AttachedPipe,
  ByteChunks,
  CallOptions,
  ChunkedTensor,
  Dtype,
  InputData,
  InputValue,
  Log,
  Pipe,
  PipeCalls,
  PipeConfig,
  PipeDescription,
  PipeInput,
  PipeOptions,
  Priority,
  SharedPipe,
  TensorSpec,
} from "./pipe/types.ts";
