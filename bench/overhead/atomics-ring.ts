/**
 * The shared words of the baseline: two counters on cache lines of their own, and a ring of numbers for each
 * way.
 */

export const REQUESTED = 0;
export const DONE = 16;

export const RING: { readonly entries: number; readonly mask: number; requests: number; results: number } = {
  entries: 4096,
  mask: 4095,
  requests: 32,
  results: 32 + 4096,
};

export function ringWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer((RING.results + RING.entries) * 4));
}
