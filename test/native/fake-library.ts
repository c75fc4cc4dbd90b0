/** Builds libraries that are not quite trtpipe's, to see them refused. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LAYOUT, SYMBOLS, TP_ABI_MAJOR, TP_ABI_MINOR } from "../../src/native/abi.ts";

/** Compiles C source with the system's compiler and returns the library's path. */
export function compile(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), "trtpipe-fake-"));
  const [from, to] = [join(folder, "fake.c"), join(folder, "libtrtpipe.so")];
  writeFileSync(from, source);
  execFileSync(process.env.CC ?? "cc", ["-shared", "-fPIC", "-o", to, from]);
  return to;
}

export function versionSource(major: number, minor: number): string {
  return `unsigned tp_abi_version(void) { return ${major}u << 16 | ${minor}u; }\n`;
}

/** All symbols of the right version, and a layout in which one item is `value`. */
export function layoutSource(item: string, value: number): string {
  const cases = LAYOUT.map(
    ([name, right], index) => `case ${index}: return ${name === item ? value : right};`,
  );
  const body = `switch (item) { ${cases.join(" ")} default: return -1; }`;
  const layout = `unsigned tp_layout(unsigned item) { ${body} }\n`;
  const others = Object.keys(SYMBOLS).filter((name) => name !== "tp_abi_version" && name !== "tp_layout");
  const stubs = others.map((name) => `int ${name}(void) { return 0; }\n`);
  return [versionSource(TP_ABI_MAJOR, TP_ABI_MINOR), layout, ...stubs].join("");
}
