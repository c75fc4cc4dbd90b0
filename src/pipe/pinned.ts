/** Which of a caller's slots a device reads by itself: csrc/pins.c pins them, by the same rule. */

import { slotStrides } from "./spec.ts";
import type { ModelSpec } from "./spec.ts";

/** Tensors of a smaller stride are copied through staging memory. */
const PIECE_BYTES = 16_384;

/**
 * Slots of each caller that are pinned, from the first on; none where the processor reads them. It is what
 * was asked for: a system that refuses to pin memory, or a reload, makes copies slower and not wrong.
 */
export function pinnedSlots(spec: ModelSpec): number {
  if (spec.device === null) return 0;
  const strides = slotStrides(spec);
  let slotBytes = 0;
  [...spec.inputs, ...spec.outputs].forEach(({ largest }, k) => {
    if (largest !== null && strides[k] >= PIECE_BYTES) slotBytes += strides[k];
  });
  if (slotBytes === 0) return 0;
  return Math.min(spec.maxQueue, Math.floor(spec.device.pinnedBytes / slotBytes));
}
