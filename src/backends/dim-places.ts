/** Open dimensions: where they are kept in a slot, and where in the batch block. */

import { BATCH_DIMS, MAX_RANK } from "../native/abi.ts";
import type { OpenDims } from "../protocol.ts";

/** An open dimension of an input: where it is kept in a slot, and where in the batch block. */
export interface DimPlace {
  slotWord: number;
  blockWord: number;
}

/** First word of a tensor's dimensions in the block. */
export function dimsWord(tensor: number): number {
  return BATCH_DIMS / 4 + tensor * MAX_RANK;
}

export function isOpen({ shape }: OpenDims): boolean {
  return shape === null || shape.includes(-1);
}

export function openPlaces(inputs: readonly OpenDims[]): DimPlace[] {
  const places: DimPlace[] = [];
  inputs.forEach(({ shape }, k) => {
    shape?.forEach((dim, d) => {
      if (dim === -1) places.push({ slotWord: places.length, blockWord: dimsWord(k) + d });
    });
  });
  return places;
}
