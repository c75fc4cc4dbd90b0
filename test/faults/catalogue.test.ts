/** The catalogue of faults names tests that exist; a row without one says what it waits for. */

import { expect, it } from "vitest";
import { catalogue } from "./catalogue.ts";
import { nativeTests, testTitles } from "./titles.ts";

const rows = Object.entries(catalogue);

function numbered(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
}

it("has every row, once", () => {
  const expected = [
    ...numbered("C", 9),
    ...numbered("M", 13),
    ...numbered("I", 13),
    ...numbered("L", 26),
    ...numbered("S", 6),
  ];
  expect(rows.map(([id]) => id).toSorted()).toEqual(expected.toSorted());
});

it("names tests that exist", () => {
  const titles = testTitles();
  expect(titles.size).toBeGreaterThan(500);
  const native = new Set([...nativeTests()].map((name) => `C: ${name}`));
  expect(native.size).toBeGreaterThan(20);
  const unknown = rows.flatMap(([id, { by }]) =>
    by.filter((proof) => !titles.has(proof) && !native.has(proof)).map((proof) => `${id}: ${proof}`),
  );
  expect(unknown).toEqual([]);
});

it("has a proof for each row, or says which it waits for", () => {
  const bare = rows.filter(([, { by, awaited = [] }]) => by.length + awaited.length === 0);
  expect(bare.map(([id]) => id)).toEqual([]);
});
