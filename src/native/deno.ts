/**
 * Binding over Deno.dlopen. The calls are the plain, blocking kind, which V8 can compile to a direct call.
 */

import type { Calls, SymbolTable } from "./abi.ts";
import { describeSymbols, type Binding, type Functions, type KindNames } from "./binding.ts";

/** The part of the Deno namespace that is used. */
interface DenoFfi {
  dlopen(
    path: string,
    symbols: Record<string, { parameters: string[]; result: string }>,
  ): { symbols: Functions };
}

const NAMES: KindNames = { u32: "u32", i32: "i32", u64: "u64", f64: "f64", buffer: "buffer" };

export function denoBinding(namespace: unknown): Binding {
  const deno = namespace as DenoFfi;
  return {
    name: "deno",
    bind<T extends SymbolTable>(path: string, table: T): Calls<T> {
      return deno.dlopen(path, describeSymbols(table, NAMES, "parameters", "result")).symbols as Calls<T>;
    },
  };
}
