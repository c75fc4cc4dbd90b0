/** The function that `pipe()` and `attach()` give: a caller, dressed as what users call. */

import type { Caller } from "./caller.ts";
import type { Answered, Pipe, PipeInput } from "./types.ts";

/** What differs between the owner of a pipe and a thread that attached to it. */
export type PipeMethods = Pick<Pipe, "describe" | "stats" | "share" | "close">;

type Forward = Pipe["forward"];

export function callable(caller: Caller, methods: PipeMethods): Pipe {
  const forward = ((input: PipeInput | readonly PipeInput[]) =>
    Array.isArray(input) ? callAll(caller, input) : caller.call(input as PipeInput)) as Forward;
  return Object.assign(forward, methods, {
    forward,
    [Symbol.asyncDispose]: () => methods.close(),
  });
}

/** Each input on its own; all are settled before the first error is the rejection. */
async function callAll(caller: Caller, inputs: readonly PipeInput[]): Promise<Answered<PipeInput>[]> {
  const settled = await Promise.allSettled(inputs.map((input) => caller.call(input)));
  return settled.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}
