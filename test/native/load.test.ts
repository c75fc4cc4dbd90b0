/** Which library is loaded, and what is said when none can be. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ConfigError, ModelLoadError } from "../../src/errors.ts";
import { BATCH_BYTES, TP_ABI_MAJOR, TP_ABI_MINOR } from "../../src/native/abi.ts";
import { load, loadNative } from "../../src/native/load.ts";
import { LIBRARY_FILE, libraryPlaces } from "../../src/native/locate.ts";
import { root } from "../tidy/sources.ts";
import { compile, layoutSource, versionSource } from "./fake-library.ts";

function failureOf(work: () => unknown): ModelLoadError {
  try {
    work();
  } catch (error) {
    if (error instanceof ModelLoadError) return error;
    throw error;
  }
  throw new Error("The library was loaded, though it should have been refused");
}

const environment = { TRTPIPE_LIB: process.env.TRTPIPE_LIB, TRTPIPE_FFI: process.env.TRTPIPE_FFI };

afterEach(() => {
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

describe("loadNative()", () => {
  it("gives one library per thread and path", () => {
    const native = loadNative();
    expect(loadNative("")).toBe(native);
    expect(loadNative(native.path)).not.toBe(native);
    expect(loadNative(native.path)).toBe(loadNative(native.path));
  });

  it("takes the path of TRTPIPE_LIB, and a path that is given before that", () => {
    const { path } = load();
    process.env.TRTPIPE_LIB = "/nowhere/libtrtpipe.so";
    expect(load(path).path).toBe(path);
    process.env.TRTPIPE_LIB = path;
    expect(load().path).toBe(path);
  });

  it("names TRTPIPE_LIB and its path when that is not there", () => {
    process.env.TRTPIPE_LIB = "/nowhere/libtrtpipe.so";
    const { message, stage, path } = failureOf(() => load());
    expect(stage).toBe("library");
    expect(path).toBe("/nowhere/libtrtpipe.so");
    expect(message).toContain("(tried: TRTPIPE_LIB)\n  /nowhere/libtrtpipe.so: no such file\n");
    expect(message).toContain("To fix it, set TRTPIPE_LIB to");
  });

  it("refuses a TRTPIPE_FFI that names no binding", () => {
    process.env.TRTPIPE_FFI = "wasm";
    expect(() => load()).toThrow(ConfigError);
    expect(() => load()).toThrow(
      'Cannot use TRTPIPE_FFI: expected "koffi", "bun", "deno" or "node", got "wasm"',
    );
  });

  it("says why a binding of another runtime cannot be used", () => {
    const other = "Bun" in globalThis ? "deno" : "bun";
    const { message } = failureOf(() => load("", other));
    expect(message).toMatch(new RegExp(`^Cannot load .*${LIBRARY_FILE} with the binding "${other}": `));
    expect(message).toContain(`To fix it, run in ${other === "deno" ? "Deno" : "Bun"}`);
  });

  it("carries what the loader said about a file that is no library", () => {
    const path = join(mkdtempSync(join(tmpdir(), "trtpipe-text-")), LIBRARY_FILE);
    writeFileSync(path, "not a library\n");
    const { message, cause } = failureOf(() => load(path));
    expect(cause).toBeInstanceOf(Error);
    expect(message).toContain(`  ${path}: ${(cause as Error).message}\n`);
    expect(message).not.toContain("no such file");
  });
});

describe("in Deno, whose flags allow each thing apart", () => {
  const { path } = load();
  const deno = (flags: string[]): string => {
    const program = join(root, "node_modules", ".bin", "deno");
    const args = ["run", "--no-prompt", "--quiet", ...flags, "test/native/load-once.ts", path];
    return execFileSync(program, args, { cwd: root, encoding: "utf8" });
  };

  it("needs no more than the right to load this one library", () => {
    expect(deno([`--allow-ffi=${path}`])).toBe("deno true\n");
  });

  it("names the flag when loading libraries is not allowed", () => {
    expect(deno(["--allow-read", "--allow-env"])).toMatch(
      /Requires ffi access[^]*\nTo fix it, run Deno with --allow-ffi\n$/,
    );
  });
});

describe("the handshake", () => {
  it.each([
    [TP_ABI_MAJOR + 1, 0],
    [TP_ABI_MAJOR - 1, 65535],
  ])("refuses ABI version %i.%i", (major, minor) => {
    const { message } = failureOf(() => load(compile(versionSource(major, minor))));
    const needed = `${TP_ABI_MAJOR}.${TP_ABI_MINOR} or a later ${TP_ABI_MAJOR}.x`;
    expect(message).toContain(`its ABI version is ${major}.${minor}, and ${needed} is needed`);
  });

  it("refuses another layout, saying both numbers", () => {
    const { message } = failureOf(() => load(compile(layoutSource("BATCH_BYTES", BATCH_BYTES + 8))));
    expect(message).toContain(`its layout has BATCH_BYTES ${BATCH_BYTES + 8}, and ${BATCH_BYTES} is needed`);
  });

  it("refuses a library of the right version that lacks a function", () => {
    const { message } = failureOf(() => load(compile(versionSource(TP_ABI_MAJOR, TP_ABI_MINOR))));
    expect(message).toMatch(/tp_\w+/);
  });

  it("takes a later minor version", () => {
    const path = compile(layoutSource("", 0).replace(/\d+u;/, `${TP_ABI_MINOR + 7}u;`));
    expect(load(path).handleCount()).toBe(0);
  });
});

it("looks in the package's folders, and names the command that builds the library there", () => {
  delete process.env.TRTPIPE_LIB;
  const { paths, fix, source } = libraryPlaces("");
  expect(source).toBe("the package");
  expect(paths).toEqual([
    join(root, "prebuilds", `${process.platform}-${process.arch}`, LIBRARY_FILE),
    join(root, "build", "release", LIBRARY_FILE),
  ]);
  expect(fix).toBe(`run in ${root}: cmake --preset release && cmake --build --preset release`);
});
