/** Device tensors of the C library, as the rest of the code calls them. Part of `Native`, of one thread. */

import { TP_ERR_HANDLE, type Calls, type SYMBOLS } from "./abi.ts";

/** What the C library says about a device's tensors and results. */
export interface DeviceUsage {
  /** Blocks of memory, wrapped ones included. */
  tensors: number;
  /** Bytes that they have together; wrapped ones have none. */
  bytes: number;
  /** Bytes that they may have; 0: no limit. */
  limitBytes: number;
}

/** What the C library says about one tensor. */
export interface DeviceInfo {
  deviceId: number;
  address: bigint;
  bytes: number;
}

export class NativeDevice {
  readonly #calls: Calls<typeof SYMBOLS>;
  readonly #failure: (status: number) => Error;
  readonly #out = new Uint32Array(1);
  readonly #numbers = new BigUint64Array(4);

  constructor(calls: Calls<typeof SYMBOLS>, failure: (status: number) => Error) {
    this.#calls = calls;
    this.#failure = failure;
  }

  /** Opens a device beside this thread; false: not yet, ask again. `options` are `key=value\0` records. */
  open(deviceId: number, options: Uint8Array | null): boolean {
    const status = this.#calls.tp_device_open(deviceId, options, options?.length ?? 0);
    this.#check(status);
    return status === 1;
  }

  allocate(deviceId: number, bytes: number): number {
    return this.#handle(this.#calls.tp_device_allocate(deviceId, BigInt(bytes), this.#out));
  }

  wrap(deviceId: number, address: bigint, bytes: number): number {
    return this.#handle(this.#calls.tp_device_wrap(deviceId, address, BigInt(bytes), this.#out));
  }

  /** Rows of a result that stayed in device memory. */
  take(result: number, row: number, rows: number, output: number): number {
    return this.#handle(this.#calls.tp_result_device(result, row, rows, output, this.#out));
  }

  /** A new tensor that holds these one after another. */
  join(tensors: readonly number[]): number {
    const handles = Uint32Array.from(tensors);
    return this.#handle(this.#calls.tp_device_join(handles, handles.length, this.#out));
  }

  info(tensor: number): DeviceInfo {
    this.#check(this.#calls.tp_device_info(tensor, this.#numbers));
    const [deviceId, address, bytes] = this.#numbers;
    return { deviceId: Number(deviceId), address, bytes: Number(bytes) };
  }

  /** Whether somebody still has a reference on the tensor. */
  isOpen(tensor: number): boolean {
    const status = this.#calls.tp_device_info(tensor, this.#numbers);
    if (status !== TP_ERR_HANDLE) this.#check(status);
    return status !== TP_ERR_HANDLE;
  }

  retain(tensor: number, count: number): void {
    this.#check(this.#calls.tp_device_retain(tensor, count));
  }

  release(tensor: number, count: number): void {
    this.#check(this.#calls.tp_device_release(tensor, count));
  }

  /** Copies all of `from`, which is not empty, to byte `offset` of the tensor. Blocks until it is there. */
  write(tensor: number, offset: number, from: Uint8Array): void {
    this.#check(this.#calls.tp_device_write(tensor, BigInt(offset), from, BigInt(from.byteLength)));
  }

  /** Fills all of `to`, which is not empty, from byte `offset` of the tensor on. */
  read(tensor: number, offset: number, to: Uint8Array): void {
    this.#check(this.#calls.tp_device_read(tensor, BigInt(offset), to, BigInt(to.byteLength)));
  }

  limit(deviceId: number, bytes: number): void {
    this.#check(this.#calls.tp_device_limit(deviceId, BigInt(bytes)));
  }

  usage(deviceId: number): DeviceUsage {
    this.#check(this.#calls.tp_device_usage(deviceId, this.#numbers));
    const [tensors, bytes, limitBytes] = Array.from(this.#numbers, Number);
    return { tensors, bytes, limitBytes };
  }

  /** Where each slot says which of its inputs are in device memory. */
  bindRows(instance: number, offset: number, stride: number): void {
    this.#check(this.#calls.tp_instance_bind_device_rows(instance, BigInt(offset), BigInt(stride)));
  }

  #handle(status: number): number {
    this.#check(status);
    return this.#out[0];
  }

  #check(status: number): void {
    if (status < 0) throw this.#failure(status);
  }
}
