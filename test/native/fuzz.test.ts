/**
 * The C fuzzer leaves no function of the header out: csrc/test/fuzz.c. But for the one that ends the process,
 * which is called by csrc/test/forks.c.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "../tidy/sources.ts";
import { declarations } from "./header.ts";

const read = (name: string): string =>
  readFileSync(join(root, "csrc", "test", name), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, " ");
const source = read("fuzz.c");
const END = "tp_process_exit";

/** Names of functions that are called in some text. */
function calledIn(text: string): Set<string> {
  return new Set([...text.matchAll(/\b(tp_\w+)\(/g)].map(([, name]) => name));
}

it("calls every function that the header declares", () => {
  const declared = declarations().map(({ name }) => name);
  expect(declared.length).toBeGreaterThan(20);
  const called = calledIn(source);
  expect(declared.filter((name) => !called.has(name))).toEqual([END]);
  expect(calledIn(read("forks.c"))).toContain(END);
});

it("has each among the calls that are drawn at random, but for what it counts by and the end", () => {
  const drawn = calledIn(source.slice(0, source.indexOf("static void give_back")));
  const others = declarations().filter(({ name }) => !drawn.has(name));
  const expected = [END, "tp_clock_ms", "tp_handle_count"];
  expect(others.map(({ name }) => name).toSorted()).toEqual(expected.toSorted());
});
