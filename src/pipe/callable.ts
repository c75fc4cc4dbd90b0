/** The function that `pipe()` and `attach()` give: a caller, dressed as what users call. */

import type { Caller } from "./caller.ts";
import type { Answered, CallOptions, PipeCalls, PipeInput } from "./types.ts";

/** What differs between the owner of a pipe and a thread that attached to it. */
export type PipeMethods = Pick<PipeCalls, "describe" | "stats" | "share" | "close">;

type Forward = PipeCalls["forward"];

const callers = new WeakMap<PipeCalls, Caller>();

/** The caller behind a pipe: what the server asks of it goes beyond what users call. */
export function callerOf(pipe: PipeCalls): Caller {
  return callers.get(pipe)!;
}

export function callable(caller: Caller, methods: PipeMethods): PipeCalls {
  const forward = ((input: PipeInput | readonly PipeInput[], options?: CallOptions) =>
    Array.isArray(input)
      ? callAll(caller, input, options)
      : caller.call(input as PipeInput, options)) as Forward;
  const pipe = Object.assign(forward, methods, {
    forward,
    room: (rows = 1) => caller.room(rows),
    [Symbol.asyncDispose]: () => methods.close(),
  });
  callers.set(pipe, caller);
  return pipe;
}

/** Each input on its own; all are settled before the first error is the rejection. */
async function callAll(
  caller: Caller,
  inputs: readonly PipeInput[],
  options: CallOptions | undefined,
): Promise<Answered<PipeInput>[]> {
  const settled = await Promise.allSettled(inputs.map((input) => caller.call(input, options)));
  return settled.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}
