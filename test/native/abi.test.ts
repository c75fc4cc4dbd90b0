/** The header, the symbol table and the built library say the same. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as abi from "../../src/native/abi.ts";
import { loadNative } from "../../src/native/load.ts";
import { root } from "../tidy/sources.ts";
import { exportedSymbols } from "./elf.ts";
import { constants, declarations, oneLine } from "./header.ts";

const declared = declarations();

/**
 * Library-wide constants that this side has no use for by that name: they are MAX_* here, or indexes of
 * LAYOUT.
 */
const renamed = /^TP_(MAX|LAYOUT)_/;

it("reads the header", () => {
  expect(declared.length).toBeGreaterThanOrEqual(21);
  expect(declared.find(({ name }) => name === "tp_model_open")).toEqual({
    name: "tp_model_open",
    text:
      "int32_t tp_model_open(const char *options, uint32_t options_bytes, const void *model, " +
      "uint64_t model_bytes, uint32_t *model_out);",
    parameters: ["buffer", "u32", "buffer", "u64", "buffer"],
    result: "i32",
  });
  const changed = "/* int32_t tp_old(void); */\ndouble tp_new(int32_t a,\n  void *b);\n#define TP_X (-3)\n";
  expect(declarations(changed).map(({ name, parameters }) => [name, parameters])).toEqual([
    ["tp_new", ["i32", "buffer"]],
  ]);
  expect([...constants(changed)]).toEqual([["TP_X", -3]]);
});

it("has every function of the header in the table, with its signature", () => {
  const fromHeader = declared.map(({ name, parameters, result }) => [name, { parameters, result }]);
  expect(abi.SYMBOLS).toEqual(Object.fromEntries(fromHeader));
});

it("quotes each declaration above its entry", () => {
  const source = readFileSync(join(root, "src", "native", "abi.ts"), "utf8");
  const quoted = [...source.matchAll(/((?:^ *\/\/.*\n)+) *(tp_\w+): \{/gm)].map(([, comment, name]) => [
    name,
    oneLine(comment.replaceAll("//", "")),
  ]);
  expect(Object.fromEntries(quoted)).toEqual(
    Object.fromEntries(declared.map(({ name, text }) => [name, text])),
  );
});

it("exports from the library what the header declares, and nothing else", () => {
  const exported = exportedSymbols(loadNative().path).filter((name) => !name.startsWith("TRTPIPE_"));
  expect(exported.toSorted()).toEqual(declared.map(({ name }) => name).toSorted());
});

it("has the header's constants", () => {
  const table: Readonly<Record<string, unknown>> = abi;
  const defined = [...constants()].filter(([name]) => !renamed.test(name));
  expect(defined.length).toBeGreaterThanOrEqual(31);
  const here = Object.keys(table).filter((name) => name.startsWith("TP_"));
  expect(Object.fromEntries(here.map((name) => [name, table[name]]))).toEqual(Object.fromEntries(defined));
});

it("has the header's layout items and limits, in its order", () => {
  const defined = constants();
  const items = [...defined].filter(([name]) => name.startsWith("TP_LAYOUT_"));
  expect(abi.LAYOUT.map(([name], index) => [`TP_LAYOUT_${name}`, index])).toEqual(items);
  const limits = [...defined].filter(([name]) => name.startsWith("TP_MAX_"));
  expect(limits).toEqual([
    ["TP_MAX_RANK", abi.MAX_RANK],
    ["TP_MAX_TENSORS", abi.MAX_TENSORS],
    ["TP_MAX_CHANNELS", abi.MAX_CHANNELS],
  ]);
});
