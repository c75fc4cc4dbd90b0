/** What the tests of device memory look at. */

import { Worker } from "node:worker_threads";
import { DeviceTensor, Tensor } from "trtpipe";
import type { PipeInput, SharedDeviceTensor } from "trtpipe";
import { sleep, within } from "./pipes.ts";

/** Elements of a result of one output, which is disposed of if it is in device memory. */
export async function readBack(result: PipeInput["result"]): Promise<(number | bigint)[]> {
  if (result instanceof Tensor) return [...result.data];
  if (!(result instanceof DeviceTensor)) throw new Error("the result has several outputs, or none");
  const { data } = await result.toHost();
  result.dispose();
  return [...data];
}

/** Waits until nothing is left on a device: what an instance runs is given back a moment later. */
export async function isEmpty(device_id: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { tensors, bytes } = DeviceTensor.usage({ device_id });
    if (tensors === 0 && bytes === 0) return;
    if (tries === 200) throw new Error(`device ${device_id} still has ${tensors} tensors of ${bytes} bytes`);
    await sleep(10);
  }
}

type Order = "let go" | { shared: SharedDeviceTensor; keep: boolean };

export interface DeviceThread {
  ask(order: Order): Promise<unknown>;
}

/** A function that starts threads of device-thread.mjs, which `hook` ends. */
export function deviceThreads(hook: (end: () => Promise<void>) => void): () => DeviceThread {
  const started: Worker[] = [];
  hook(async () => {
    await Promise.all(started.splice(0).map((worker) => worker.terminate()));
  });
  return () => {
    const worker = new Worker(new URL("device-thread.mjs", import.meta.url));
    started.push(worker);
    const ask = (order: Order): Promise<unknown> => {
      const answer = new Promise((resolve) => worker.once("message", resolve));
      worker.postMessage(order);
      return within(answer, "the thread's answer");
    };
    return { ask };
  };
}
