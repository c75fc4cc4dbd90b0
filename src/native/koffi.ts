/** Binding over koffi, an N-API module: Node's, and the fallback that works in every runtime. */

import type { Calls, SymbolTable } from "./abi.ts";
import type { Binding, Functions, KindNames } from "./binding.ts";

/** The part of koffi that is used. */
interface Koffi {
  load(path: string): {
    func(name: string, result: string, parameters: string[]): Functions[string];
  };
}

const NAMES: KindNames = {
  u32: "uint32_t",
  i32: "int32_t",
  u64: "uint64_t",
  f64: "double",
  buffer: "void *",
};

export function koffiBinding(module: unknown): Binding {
  const koffi = module as Koffi;
  return {
    name: "koffi",
    bind<T extends SymbolTable>(path: string, table: T): Calls<T> {
      const library = koffi.load(path);
      const functions: Functions = {};
      for (const [name, { parameters, result }] of Object.entries(table)) {
        const types = parameters.map((kind) => NAMES[kind]);
        functions[name] = library.func(name, NAMES[result], types);
      }
      return functions as Calls<T>;
    },
  };
}
