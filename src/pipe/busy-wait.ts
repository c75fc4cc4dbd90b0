/** How long threads wait busily before they sleep, where the configuration does not say. */

import { availableParallelism } from "node:os";
import type { ParsedConfig } from "./config.ts";

const SPIN_US = 100;
/**
 * While a device computes, cores have nothing else to do, and a run takes about as long as two wake-ups. On
 * an H100 it takes 80 to 190 us off a lone request (bench/RESULTS.md).
 */
const DEVICE_SPIN_US = 1000;
/** Cores that have to be left besides one for each instance: one for the caller, one for all else. */
const SPARE_CORES = 2;

/** Microseconds for a pipe on this backend, e.g. "TensorrtTensor" or "Process[OnnxTensor]". */
export function spinUsOf({ spinUs, instanceNum }: ParsedConfig, backend: string): number {
  if (spinUs !== null) return spinUs;
  const spare = availableParallelism() - instanceNum >= SPARE_CORES;
  return backend === "TensorrtTensor" && spare ? DEVICE_SPIN_US : SPIN_US;
}
