/**
 * Loads the C library with the FFI of the runtime that this thread runs in. Chosen here, when the program
 * runs: export and import conditions pick the wrong file under test runners and in Deno's `require`.
 */

import { createRequire } from "node:module";
import process from "node:process";
import { ConfigError, ModelLoadError } from "../errors.ts";
import { LAYOUT, SYMBOLS, TP_ABI_MAJOR, TP_ABI_MINOR, VERSION_SYMBOLS } from "./abi.ts";
import type { Binding } from "./binding.ts";
import { bunBinding } from "./bun.ts";
import { denoBinding } from "./deno.ts";
import { koffiBinding } from "./koffi.ts";
import { Native } from "./library.ts";
import { environment, isMissing, libraryPlaces } from "./locate.ts";
import { nodeBinding } from "./node.ts";

type Runtime = "koffi" | "bun" | "deno" | "node";

/** What was loaded on this thread, by the path that was asked for. */
const loaded = new Map<string, Native>();

/**
 * The C library of this thread, loaded at the first call: from `path`, or from where it usually is if that is
 * empty. Throws ModelLoadError (stage "library") with every path that was tried, and ConfigError if
 * TRTPIPE_FFI names no binding.
 */
export function loadNative(path = ""): Native {
  const native = loaded.get(path) ?? load(path);
  loaded.set(path, native);
  return native;
}

/** Loads without the cache, so that tests can compare bindings: `runtime` forces one. */
export function load(path = "", runtime: Runtime = pick()): Native {
  const { source, paths, fix } = libraryPlaces(path);
  const binding = openBinding(runtime, paths[0]);
  const failures: string[] = [];
  let cause: unknown;
  for (const candidate of paths) {
    try {
      return open(binding, candidate);
    } catch (error) {
      cause ??= error;
      failures.push(`  ${candidate}: ${isMissing(candidate) ? "no such file" : messageOf(error)}`);
    }
  }
  const tried = `Cannot load trtpipe's C library with ${binding.name} (tried: ${source})`;
  const lines = [tried, ...failures, `To fix it, ${isDenied(cause) ? "run Deno with --allow-ffi" : fix}`];
  throw new ModelLoadError(paths[0], "library", lines.join("\n"), { cause });
}

function pick(): Runtime {
  const forced = environment("TRTPIPE_FFI");
  if (forced === "koffi" || forced === "bun" || forced === "deno" || forced === "node") return forced;
  if (forced) throw new ConfigError("TRTPIPE_FFI", forced, '"koffi", "bun", "deno" or "node"');
  if ("Bun" in globalThis) return "bun";
  return "Deno" in globalThis ? "deno" : "koffi";
}

const openers: Readonly<Record<Runtime, { fix: string; open: () => Binding }>> = {
  koffi: {
    fix: "install koffi: npm install koffi",
    open: () => koffiBinding(createRequire(import.meta.url)("koffi")),
  },
  bun: { fix: "run in Bun", open: () => bunBinding(createRequire(import.meta.url)("bun:ffi")) },
  deno: { fix: "run in Deno", open: () => denoBinding(present((globalThis as { Deno?: unknown }).Deno)) },
  node: {
    fix: "run in Node 26 or later",
    open: () => nodeBinding(present(process.getBuiltinModule("node:ffi" as "node:fs"))),
  },
};

function openBinding(runtime: Runtime, path: string): Binding {
  const { open: openRuntime, fix } = openers[runtime];
  try {
    return openRuntime();
  } catch (error) {
    const text = `Cannot load ${path} with the binding "${runtime}": ${messageOf(error)}\nTo fix it, ${fix}`;
    throw new ModelLoadError(path, "library", text, { cause: error });
  }
}

function present<T>(module: T | undefined): T {
  if (module === undefined) throw new Error("this runtime does not have it");
  return module;
}

/** Binds the version alone first: the symbols of another version need not be there. */
function open(binding: Binding, path: string): Native {
  const version = binding.bind(path, VERSION_SYMBOLS).tp_abi_version();
  const [major, minor] = [version >>> 16, version & 0xffff];
  if (major !== TP_ABI_MAJOR || minor < TP_ABI_MINOR) {
    const needed = `${TP_ABI_MAJOR}.${TP_ABI_MINOR} or a later ${TP_ABI_MAJOR}.x`;
    throw new Error(`its ABI version is ${major}.${minor}, and ${needed} is needed`);
  }
  const calls = binding.bind(path, SYMBOLS);
  for (const [item, [name, expected]] of LAYOUT.entries()) {
    const found = calls.tp_layout(item);
    if (found !== expected) throw new Error(`its layout has ${name} ${found}, and ${expected} is needed`);
  }
  return new Native(binding.name, path, calls);
}

/** Deno's answer to what its flags do not allow. */
function isDenied(error: unknown): boolean {
  return error instanceof Error && (error.name === "NotCapable" || error.name === "PermissionDenied");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
