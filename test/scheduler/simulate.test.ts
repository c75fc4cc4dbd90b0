/**
 * A short run of the simulation, so that it stays sound itself: the code keeps its promises, planted bugs are
 * found, and a seed is always the same run. `npm run simulate` runs much more of it.
 */

import { beforeAll, describe, expect, it } from "vitest";
import { compileAll, plant } from "../simulate/build.ts";
import type { Sources } from "../simulate/build.ts";
import { MUTANTS } from "../simulate/mutants.ts";
import { replay, search, withFolder } from "../simulate/search.ts";

const SEEDS = { first: 1, count: 60, groups: 2 };
/** Most need a few seeds only. */
const MUTANT_SEEDS = { ...SEEDS, count: 300 };

let sources: Sources;
beforeAll(() => {
  sources = compileAll();
});

it("breaks no promise", async () => {
  expect(await withFolder(sources, (folder) => search(folder, SEEDS))).toBeNull();
});

it("plays a seed the same way each time", async () => {
  const runs = await withFolder(sources, async (folder) => [
    await replay(folder, 3),
    await replay(folder, 3),
    await replay(folder, 4),
  ]);
  expect(runs[0]).toEqual(runs[1]);
  expect(runs[0].digest).not.toBe(runs[2].digest);
});

describe("a planted bug", () => {
  it.each([
    [
      "done bits are read and cleared in two steps",
      /nothing comes of it|wait|ended with .* but it was accepted/,
    ],
    ["the lead is taken with a load and a store", /somebody leads already/],
    ["only the last caller of a batch is rung", /although slot \d+ is answered/],
  ])("is found: %s", async (name, violation) => {
    const mutant = MUTANTS.find((planned) => planned.name === name)!;
    const found = await withFolder(plant(sources, mutant), (folder) => search(folder, MUTANT_SEEDS));
    expect(found?.violation).toMatch(violation);
    expect(found?.seed).toBeGreaterThan(0);
  });

  it("stands in the code as it is now", () => {
    for (const mutant of MUTANTS) expect(plant(sources, mutant).size).toBe(sources.size);
    const rotten = { ...MUTANTS[0], from: "a text that is nowhere" };
    expect(() => plant(sources, rotten)).toThrow("its text stands 0 times in src/memory/channel.ts");
  });
});
