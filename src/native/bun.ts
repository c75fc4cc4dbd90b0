/** Binding over bun:ffi. */

import type { Calls, SymbolTable } from "./abi.ts";
import { describeSymbols, type Binding, type Functions, type KindNames } from "./binding.ts";

/** The part of bun:ffi that is used. */
interface BunFfi {
  dlopen(path: string, symbols: Record<string, { args: string[]; returns: string }>): { symbols: Functions };
}

const NAMES: KindNames = { u32: "u32", i32: "i32", u64: "u64", f64: "f64", buffer: "ptr" };

export function bunBinding(module: unknown): Binding {
  const ffi = module as BunFfi;
  return {
    name: "bun:ffi",
    bind<T extends SymbolTable>(path: string, table: T): Calls<T> {
      return ffi.dlopen(path, describeSymbols(table, NAMES, "args", "returns")).symbols as Calls<T>;
    },
  };
}
