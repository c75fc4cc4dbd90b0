/**
 * Binding over node:ffi, which Node has had since 26. Experimental there, so it has to be asked for:
 * TRTPIPE_FFI=node.
 */

import type { Calls, SymbolTable } from "./abi.ts";
import { describeSymbols, type Binding, type Functions, type KindNames } from "./binding.ts";

/** The part of node:ffi that is used. */
interface NodeFfi {
  dlopen(
    path: string,
    symbols: Record<string, { arguments: string[]; return: string }>,
  ): { functions: Functions };
}

const NAMES: KindNames = { u32: "u32", i32: "i32", u64: "u64", f64: "f64", buffer: "pointer" };

export function nodeBinding(module: unknown): Binding {
  const ffi = module as NodeFfi;
  return {
    name: "node:ffi",
    bind<T extends SymbolTable>(path: string, table: T): Calls<T> {
      return ffi.dlopen(path, describeSymbols(table, NAMES, "arguments", "return")).functions as Calls<T>;
    },
  };
}
