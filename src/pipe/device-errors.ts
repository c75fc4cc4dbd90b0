/** What the C library refuses about device tensors, as the errors that users see. */

import { ConfigError, DeviceLostError, ExecutionError, InputError } from "../errors.ts";
import { TP_ERR_ARGUMENT, TP_ERR_DEVICE, TP_ERR_HANDLE, TP_ERR_UNSUPPORTED } from "../native/abi.ts";
import { NativeError } from "../native/library.ts";

/** Runs calls of the C library for a device; what they throw becomes an error of ours. */
export function withDevice<T>(deviceId: number, calls: () => T): T {
  try {
    return calls();
  } catch (error) {
    throw error instanceof NativeError ? deviceError(error, deviceId) : error;
  }
}

export function deviceError(error: NativeError, deviceId: number): Error {
  const { status, message: hint } = error;
  const options = { cause: error };
  if (status === TP_ERR_HANDLE) return new InputError("tensor", "a DeviceTensor in use", hint, options);
  if (status === TP_ERR_UNSUPPORTED) {
    return new ConfigError("device_id", deviceId, "a CUDA device that can be used", { ...options, hint });
  }
  if (status === TP_ERR_DEVICE) return new DeviceLostError(`The device was lost: ${hint}`, options);
  if (status === TP_ERR_ARGUMENT) {
    return new InputError("device memory", "what CUDA and the device have", hint, options);
  }
  return new ExecutionError(`Cannot use device memory: ${hint}`, options);
}
