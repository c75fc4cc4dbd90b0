/** The pipes of a soak: those that stay, and those that come and go. */

import { pipe } from "trtpipe";
import type { Pipe, PipeConfig } from "trtpipe";
import { makeChannel } from "../support/memory.ts";
import { affineModel } from "../support/models.ts";
import type { PipeName } from "./load.mjs";

export type Pipes = Readonly<Record<PipeName, Pipe>>;

const MORTAL_SLOTS = 64;
/** What a mortal row's value makes its instance do: ../support/dying-worker-hooks.mjs. */
export const DEATHS = { leading: -101, answering: -102, exiting: -103 } as const;

/** Where the first slot's word is: the instances that die on request look there. */
process.env.TEST_SLOT_WORD = String(makeChannel({ slots: MORTAL_SLOTS }).layout.word);

const quiet: PipeConfig = { log: () => {}, max_queue: 256, instance_num: 2 };

export async function openPipes(callers: number): Promise<Pipes> {
  const common = { ...quiet, max_callers: callers };
  const affine = { model: affineModel(), intra_op_threads: 1 };
  const configs: Readonly<Record<PipeName, PipeConfig>> = {
    identity: { ...common, backend: "(shape=4)Identity", max: 8, batching_timeout: 1 },
    onnx: { ...common, ...affine, backend: "OnnxTensor", max: 4 },
    fault: { ...common, backend: "(shape=3)Fault", max: 4 },
    narrow: { ...common, backend: "(shape=3)Fault", max: 4, max_queue: 8 },
    mortal: {
      ...common,
      backend: "(shape=1)Identity",
      max: 2,
      max_queue: MORTAL_SLOTS,
      workerUrl: new URL("../support/dying-worker.mjs", import.meta.url),
    },
    // Nobody asks it, but a leak on purpose.
    spare: { ...common, backend: "(shape=3)Fault", instance_num: 1 },
    process: { ...common, backend: "Process[(shape=3)Fault]", max: 4 },
  };
  const opened = Object.entries(configs).map(async ([name, config]) => [name, await pipe(config)] as const);
  return Object.fromEntries(await Promise.all(opened)) as Pipes;
}

/** A pipe that is opened, called and closed again; its answer to n is `factor` n + `term`. */
export interface Passing {
  config: PipeConfig;
  factor: number;
  term: number;
}

export function passing(): readonly Passing[] {
  const echo = { factor: 1, term: 0 };
  const affine = { model: affineModel(), intra_op_threads: 1, backend: "OnnxTensor" };
  return [
    { ...echo, config: { ...quiet, backend: "(shape=4)Identity", max: 4 } },
    { factor: 2, term: 1, config: { ...quiet, ...affine, max: 4 } },
    { ...echo, config: { ...quiet, backend: "(shape=3)Fault", max: 2 } },
    { factor: 2, term: 1, config: { ...quiet, ...affine, session: "own", max: 2 } },
    { ...echo, config: { ...quiet, backend: "Process[(shape=3)Fault]", max: 2, instance_num: 1 } },
  ];
}
