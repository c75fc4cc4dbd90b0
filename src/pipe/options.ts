/** Keys of `PipeConfig` that go together. */

/**
 * What is done to an image in front of the model, as a part of its graph: the same on every backend. For
 * ONNX models.
 */
export interface ImageOptions {
  /**
   * A value for each channel, `"123.675,116.28,103.53"` or a list: the model gets (pixel - mean) / std.
   * Default: nothing is taken off, or divided by.
   */
  mean?: string | number | readonly (number | string)[];
  std?: string | number | readonly (number | string)[];
  /** What requests bring. Default: the model's own layout. */
  input_layout?: "NCHW" | "NHWC";
  /** What requests bring. Default: the model's own dtype. */
  input_dtype?: "uint8" | "float32";
  /** Name of the input that these keys are for. Needed where the model has several. */
  image_input?: string;
}

/** What layers compute in. For ONNX models; inputs and outputs stay as they are. */
export interface PrecisionOptions {
  /**
   * `"fp32"` is IEEE float32. `"tf32"` may round what is multiplied to 10 bits, which TensorRT does faster.
   * `"fp16"` and `"bf16"` compute in 16 bits, but for what needs float32's range. Default `"fp32"`.
   */
  precision?: "fp32" | "tf32" | "fp16" | "bf16";
  /** Layers that stay in float32: names of nodes or of their outputs, `*` for any text. */
  "precision::fp32"?: string | readonly string[];
  /** Layers that compute in float16 whatever the rules say; alone, no others do. */
  "precision::fp16"?: string | readonly string[];
  /** The same for bfloat16. */
  "precision::bf16"?: string | readonly string[];
}

/** The keys of `TensorrtTensor`. */
export interface TensorrtOptions {
  /** The CUDA device, counted from 0, or several: instances are made on them in turn. Default 0. */
  device_id?: number | string | readonly (number | string)[];
  /** Where results are: a Tensor on the `"host"`, or a DeviceTensor on the `"device"`. Default `"host"`. */
  output?: "host" | "device";
  /**
   * File that keeps the built engine. One that does not fit the model, the options, TensorRT or the device is
   * built anew.
   */
  "model::cache"?: string;
  /** MB of device memory that layers may use while they run. Default 1024. */
  max_workspace_size?: number | string;
  /** How long TensorRT looks for the fastest kernels: 0..5. Default 3. */
  optimization_level?: number | string;
  /** Launch each batch as one CUDA graph, where sizes are known and the engine allows it. Default false. */
  cuda_graph?: boolean | 0 | 1 | "0" | "1";
  /**
   * Bytes of each caller's slots that are pinned, so that the device copies them by itself: whole slots, from
   * the first on. Rows beyond take one more copy. 0..4 294 967 295, 0: none. Default 67108864, 64 MiB.
   */
  pinned_bytes?: number | string;
  /**
   * Longest busy wait in microseconds for the device before an instance's thread sleeps: 0..10 000. Default:
   * as `spin_us`.
   */
  device_spin_us?: number | string;
  /** TensorRT for RTX: an engine for `"any"` device it knows, or for the `"current"` one. Default `"any"`. */
  compute_capability?: "any" | "current";
  /**
   * Devices that the engine runs on besides that it is built on: those of `"ampere_plus"`, or of the
   * `"same_compute_capability"` (TensorRT 10.9 or later). Such engines may be slower. Not with TensorRT for
   * RTX. Default `"none"`.
   */
  hardware_compatibility?: "none" | "ampere_plus" | "same_compute_capability";
  /** Path of libnvinfer or libtensorrt_rtx. Default: `TRTPIPE_TENSORRT`, the loader's path. */
  tensorrt?: string;
}
