/** Which runtime the tests run in, as it says itself. */

export type Runtime = "node" | "bun" | "deno";

export const thisRuntime: Runtime = nameOf();

const bindings: Readonly<Record<Runtime, string>> = { node: "koffi", bun: "bun:ffi", deno: "deno" };

/** The binding that this runtime's threads use. */
export const bindingOfThisRuntime: string = bindings[thisRuntime];

function nameOf(): Runtime {
  if (process.versions.bun !== undefined) return "bun";
  return process.versions.deno === undefined ? "node" : "deno";
}
