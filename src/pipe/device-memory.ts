/**
 * Getting at a device from a thread with an event loop: CUDA starts on a thread of the C library's, and long
 * copies go piece by piece.
 */

import { setImmediate, setTimeout } from "node:timers";
import type { NativeDevice } from "../native/device.ts";
import { environment } from "../native/locate.ts";
import { withDevice } from "./device-errors.ts";

/** About a millisecond of copying from memory that is not pinned. */
const PIECE_BYTES = 4 * 1024 * 1024;
const LONGEST_WAIT_MS = 8;

/** Resolves when the device can be used. Throws ConfigError with what is missing. */
export async function openDevice(device: NativeDevice, deviceId: number): Promise<void> {
  const path = environment("TRTPIPE_CUDA");
  const options = path ? new TextEncoder().encode(`cuda=${path}\0`) : null;
  for (let waitMs = 1; !withDevice(deviceId, () => device.open(deviceId, options));) {
    const ms = waitMs;
    await new Promise<void>((resolve) => void setTimeout(resolve, ms));
    waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
  }
}

/**
 * Copies `bytes` to or from a tensor, in pieces between which the event loop has its turn. The caller holds a
 * reference on the tensor.
 */
export async function copyPieces(
  bytes: Uint8Array,
  piece: (at: number, part: Uint8Array) => void,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (at > 0) await new Promise<void>((resolve) => void setImmediate(resolve));
    piece(at, bytes.subarray(at, at + PIECE_BYTES));
  }
}
