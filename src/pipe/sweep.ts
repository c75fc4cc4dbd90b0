/** What the slots of a caller hold that will not answer for them any more: given back by somebody else. */

import type { Channel } from "../memory/channel.ts";
import { Phase, phaseOf } from "../memory/slot.ts";
import { DeviceRows } from "./device-rows.ts";
import { ResultReader } from "./result.ts";
import type { NativeResults } from "./result.ts";
import type { ModelSpec } from "./spec.ts";

/**
 * Nobody else uses the channel, and nothing of it is with an instance but rows of calls that hang: what those
 * bring is let go of by whoever they come back to. What they read they hold themselves.
 */
export function sweep(spec: ModelSpec, channel: Channel, native: NativeResults): void {
  const reader = new ResultReader(spec, channel, native);
  const rows = DeviceRows.of(spec, channel, native);
  for (let slot = 0; slot < channel.shape.slots; slot++) {
    if (phaseOf(channel.wordOf(slot)) !== Phase.lost) reader.drop(slot);
    rows?.drop(slot);
  }
}

/** How often it is looked whether the thread of a caller has ended. */
const LOOK_AGAIN_MS = 250;

/**
 * After a pipe was closed: sweeps the channels of callers whose threads have ended, now and as they end.
 * A thread that lives does so itself, unless it ends before it comes to that.
 */
export function sweepAsTheyEnd(
  channels: readonly Channel[],
  sweepOne: (channel: Channel) => void,
  isAlive: (watch: number) => boolean,
): void {
  const living = channels.filter((channel) => {
    const { watch } = channel;
    if (watch === 0) return false;
    if (isAlive(watch)) return true;
    sweepOne(channel);
    return false;
  });
  if (living.length === 0) return;
  setTimeout(() => sweepAsTheyEnd(living, sweepOne, isAlive), LOOK_AGAIN_MS).unref();
}
