/**
 * Callbacks of wrapped memory: called once, on the thread that wrapped it, when nobody has a reference on the
 * tensor any more. That may be later than `dispose()`: a run that reads it goes on. The C library calls
 * nobody back, so it is asked now and then while somebody waits.
 */

import { setTimeout } from "node:timers";
import type { NativeDevice } from "../native/device.ts";
import { logToStderr } from "./log.ts";

const FIRST_MS = 1;
const LONGEST_MS = 50;

interface Waiting {
  device: NativeDevice;
  handle: number;
  release: () => void;
}

const waiting = new Set<Waiting>();
let timed = false;

/** From now on the tensor's owner waits for the others to let go. */
export function releaseOnceClosed(device: NativeDevice, handle: number, release: () => void): void {
  waiting.add({ device, handle, release });
  look(FIRST_MS);
}

/** Calls the owner's function. What it throws is its own trouble, and no reason to break off ours. */
export function callRelease(release: () => void): void {
  try {
    release();
  } catch (error) {
    logToStderr("error", `The release function of a DeviceTensor threw: ${String(error)}`, { error });
  }
}

/** The timer keeps the process: memory that was lent has to be given back. */
function look(nextMs: number): void {
  for (const one of waiting) {
    if (one.device.isOpen(one.handle)) continue;
    waiting.delete(one);
    callRelease(one.release);
  }
  if (waiting.size === 0 || timed) return;
  timed = true;
  setTimeout(() => {
    timed = false;
    look(Math.min(2 * nextMs, LONGEST_MS));
  }, nextMs);
}
