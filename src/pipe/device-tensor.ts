/** Tensors in the memory of a CUDA device. */

import { InputError, show } from "../errors.ts";
import type { DeviceUsage } from "../native/device.ts";
import type { Native } from "../native/library.ts";
import { loadNative } from "../native/load.ts";
import { withDevice } from "./device-errors.ts";
import { copyPieces, openDevice } from "./device-memory.ts";
import { callRelease, releaseOnceClosed } from "./device-release.ts";
import { checkShared, shareContents } from "./device-share.ts";
import type { SharedDeviceTensor } from "./device-share.ts";
import { dtypes, isDtype, names } from "./dtype.ts";
import type { Carriers } from "./dtype.ts";
import { logToStderr } from "./log.ts";
import { checkShape, elementsOf, showShape } from "./shape.ts";
import { Tensor } from "./tensor.ts";
import type { TensorSource } from "./tensor.ts";
import type { Dtype } from "./types.ts";

export type { DeviceUsage } from "../native/device.ts";

export interface DeviceOptions {
  /** The CUDA device, counted from 0. Default 0. */
  device_id?: number | undefined;
}

export interface WrapOptions extends DeviceOptions {
  /**
   * * Called once, on this thread, when the memory is not used any more: some time after `dispose()`, or at
   * once if it could not be wrapped.
   */
  release: () => void;
}

/** The C library, as far as tensors need it. */
type NativeTensors = Pick<Native, "device" | "path">;

/**
 * The reference that a DeviceTensor has, apart from it, so that it can be given back when it is collected.
 */
interface Held {
  readonly native: NativeTensors;
  handle: number;
  readonly release: (() => void) | null;
  readonly text: string;
}

/** A net, not a way to work: the collector knows nothing of device memory and may never come. */
const collected = new FinalizationRegistry<Held>((held) => {
  logToStderr("warn", `${held.text} was collected without dispose(); call it, or use "using"`, {});
  giveUp(held);
});

function giveUp(held: Held): void {
  const { native, handle, release } = held;
  if (handle === 0) return;
  held.handle = 0;
  native.device.release(handle, 1);
  if (release !== null) releaseOnceClosed(native.device, handle, release);
}

/**
 * Numbers in the memory of a CUDA device, with a shape. It has to be given back with `dispose()`, or with
 * `using`. A request that was made with it keeps the memory until it is done, so that it may be disposed of
 * at any time.
 */
export class DeviceTensor<D extends Dtype = Dtype> {
  readonly shape: readonly number[];
  readonly dtype: D;
  /** The CUDA device that has the memory. */
  readonly deviceId: number;
  readonly #held: Held;

  private constructor(held: Held, shape: readonly number[], dtype: D, deviceId: number) {
    this.shape = shape;
    this.dtype = dtype;
    this.deviceId = deviceId;
    this.#held = held;
    collected.register(this, held, held);
  }

  /**
   * * Memory for a tensor; what is in it is not defined. Rejects with InputError (shape, dtype), ConfigError
   * (no such device, or no CUDA: it says what is missing) or ExecutionError (no memory left, or above the
   * limit).
   */
  static async allocate<D extends Dtype>(
    shape: readonly number[],
    dtype: D,
    options: DeviceOptions = {},
  ): Promise<DeviceTensor<D>> {
    const dims = checkShape(shape, "shape");
    const bytes = bytesOf(dims, dtype);
    const deviceId = readDevice(options);
    const native = loadNative();
    await openDevice(native.device, deviceId);
    const handle = withDevice(deviceId, () => native.device.allocate(deviceId, bytes));
    return DeviceTensor.trusted(native, handle, dims, dtype, deviceId);
  }

  /**
   * * A copy in device memory. `source` is what `Tensor.from` takes, and must not change until this resolves:
   * it is copied piece by piece, with turns of the event loop in between. Rejects as `allocate` does.
   */
  static async from<D extends Dtype>(source: Tensor<D>, options?: DeviceOptions): Promise<DeviceTensor<D>>;
  static async from(source: TensorSource, options?: DeviceOptions): Promise<DeviceTensor>;
  static async from(source: TensorSource, options: DeviceOptions = {}): Promise<DeviceTensor> {
    const { data, shape, dtype } = Tensor.from(source);
    const tensor = await DeviceTensor.allocate(shape, dtype, options);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const { native, handle } = tensor.#held;
    try {
      await copyPieces(bytes, (at, part) =>
        withDevice(tensor.deviceId, () => native.device.write(handle, at, part)),
      );
      return tensor;
    } catch (error) {
      tensor.dispose();
      throw error;
    }
  }

  /**
   * * A tensor of memory that somebody else owns, at an address that CUDA knows on that device. What is
   * queued to write it must be done. `options.release` is called once, whatever becomes of this call. Rejects
   * as `allocate` does, and with InputError for an address that is not one.
   */
  static async wrap<D extends Dtype>(
    pointer: bigint,
    shape: readonly number[],
    dtype: D,
    options: WrapOptions,
  ): Promise<DeviceTensor<D>> {
    const { release } = options;
    if (typeof release !== "function") throw new InputError("release", "a function", show(release));
    try {
      const dims = checkShape(shape, "shape");
      const bytes = bytesOf(dims, dtype);
      const deviceId = readDevice(options);
      if (typeof pointer !== "bigint" || pointer <= 0n || pointer >= 1n << 64n) {
        throw new InputError("pointer", "an address as a bigint", show(pointer));
      }
      const native = loadNative();
      await openDevice(native.device, deviceId);
      const handle = withDevice(deviceId, () => native.device.wrap(deviceId, pointer, bytes));
      return DeviceTensor.trusted(native, handle, dims, dtype, deviceId, release);
    } catch (error) {
      callRelease(release);
      throw error;
    }
  }

  /**
   * * The same memory, for this thread, from what `share()` gave on another. It has to be disposed of here,
   * too. Throws InputError if the tensor is gone, ConfigError if it is of another process or version.
   */
  static attach(shared: SharedDeviceTensor): DeviceTensor {
    const { library, handle, shape, dtype } = checkShared(shared);
    const native = loadNative(library);
    const dims = checkShape(shape, "shared.shape");
    const bytes = bytesOf(dims, dtype);
    return withDevice(0, () => {
      native.device.retain(handle, 1);
      const info = native.device.info(handle);
      if (info.bytes === bytes) return DeviceTensor.trusted(native, handle, dims, dtype, info.deviceId);
      native.device.release(handle, 1);
      throw new InputError(
        "shared",
        `a tensor of ${info.bytes} bytes`,
        `shape ${showShape(dims)} of ${dtype}`,
      );
    });
  }

  /**
   * * Limits the bytes that all device tensors of the process have on a device, results that stay there
   * included; 0: no limit. What is above it fails with ExecutionError, and nothing of it is kept.
   */
  static limit(bytes: number, options: DeviceOptions = {}): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new InputError("bytes", "a number of bytes, 0 for no limit", show(bytes));
    }
    const deviceId = readDevice(options);
    loadNative().device.limit(deviceId, bytes);
  }

  /** What device tensors and results have on a device now, of all threads of the process. */
  static usage(options: DeviceOptions = {}): DeviceUsage {
    return loadNative().device.usage(readDevice(options));
  }

  /** A tensor that takes over a reference of its own on `handle`. Not for users. @internal */
  static trusted<D extends Dtype>(
    native: NativeTensors,
    handle: number,
    shape: readonly number[],
    dtype: D,
    deviceId: number,
    release: (() => void) | null = null,
  ): DeviceTensor<D> {
    const text = `A DeviceTensor of ${dtype} ${showShape(shape)} on CUDA device ${deviceId}`;
    return new DeviceTensor({ native, handle, release, text }, shape, dtype, deviceId);
  }

  /** Size of the first dimension: the rows of a batch. 1 for a scalar. */
  get rows(): number {
    return this.shape.length === 0 ? 1 : this.shape[0];
  }

  /** Number of elements. */
  get size(): number {
    return elementsOf(this.shape);
  }

  /** Size in bytes. */
  get bytes(): number {
    return this.size * dtypes[this.dtype].bytes;
  }

  get disposed(): boolean {
    return this.#held.handle === 0;
  }

  /** The tensor's number in the C library (`tp_device_*`). Throws InputError after `dispose()`. */
  get handle(): number {
    const { handle, text } = this.#held;
    if (handle === 0)
      throw new InputError("tensor", "a DeviceTensor in use", `${text}, which was disposed of`);
    return handle;
  }

  /** The address in device memory, for other libraries that use CUDA in this process. */
  get pointer(): bigint {
    return withDevice(this.deviceId, () => this.#held.native.device.info(this.handle).address);
  }

  /** Path of the C library that the handle is of. Not for users. @internal */
  get library(): string {
    return this.#held.native.path;
  }

  /** A copy in host memory, made piece by piece with turns of the event loop in between. */
  async toHost(): Promise<Tensor<D>> {
    const { handle, deviceId } = this;
    const { device } = this.#held.native;
    const data = new dtypes[this.dtype].carrier(this.size) as Carriers[D];
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    withDevice(deviceId, () => device.retain(handle, 1));
    try {
      await copyPieces(bytes, (at, part) => withDevice(deviceId, () => device.read(handle, at, part)));
      return Tensor.trusted(data, this.shape, this.dtype);
    } finally {
      device.release(handle, 1);
    }
  }

  /**
   * A plain object that can be posted to any Worker of this process, there to be given to
   * `DeviceTensor.attach`. It keeps nothing: the tensor must not be disposed of before.
   */
  share(): SharedDeviceTensor {
    const { library, handle, shape, dtype } = this;
    return shareContents({ library, handle, shape, dtype });
  }

  /**
   * * Gives the memory back. Requests in flight keep it until they are done, and other threads that attached
   * have their own. May be called more than once.
   */
  dispose(): void {
    collected.unregister(this.#held);
    giveUp(this.#held);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function bytesOf(shape: readonly number[], dtype: unknown): number {
  if (!isDtype(dtype)) throw new InputError("dtype", `one of ${names().join(", ")}`, show(dtype));
  return elementsOf(shape) * dtypes[dtype].bytes;
}

function readDevice({ device_id: deviceId = 0 }: DeviceOptions): number {
  if (Number.isInteger(deviceId) && deviceId >= 0 && deviceId < 64) return deviceId;
  throw new InputError("device_id", "an integer from 0 to 63", show(deviceId));
}
