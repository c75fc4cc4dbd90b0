/** What the four bindings have in common: a name, and a way to load a table of symbols from a library. */

import type { Calls, Kind, Signature, SymbolTable } from "./abi.ts";

export type BindingName = "koffi" | "bun:ffi" | "deno" | "node:ffi";

export interface Binding {
  readonly name: BindingName;
  /** Loads the library and binds every symbol of the table. Throws the runtime's own error if it cannot. */
  bind<T extends SymbolTable>(path: string, table: T): Calls<T>;
}

/** A binding's own names for the kinds. */
export type KindNames = Readonly<Record<Kind, string>>;

/** Functions by symbol, before the table gives them their types. */
export type Functions = Record<string, (...args: never[]) => unknown>;

/**
 * Signatures in the words of one runtime: its names for the kinds, under its keys for parameters and result.
 */
export function describeSymbols<P extends string, R extends string>(
  table: SymbolTable,
  names: KindNames,
  parametersKey: P,
  resultKey: R,
): Record<string, Record<P, string[]> & Record<R, string>> {
  const describe = ({ parameters, result }: Signature): Record<P, string[]> & Record<R, string> =>
    ({ [parametersKey]: parameters.map((kind) => names[kind]), [resultKey]: names[result] }) as Record<
      P,
      string[]
    > &
      Record<R, string>;
  return Object.fromEntries(Object.entries(table).map(([name, signature]) => [name, describe(signature)]));
}
