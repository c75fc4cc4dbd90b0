/** The slot word: every field comes back, whatever stands in the others. */

import * as fc from "fast-check";
import { expect, it } from "vitest";
import {
  GENERATION_MASK,
  Outcome,
  Phase,
  generationOf,
  outcomeOf,
  ownerOf,
  phaseOf,
  slotWord,
} from "../../src/memory/slot.ts";
import { TP_ERR_INTERNAL } from "../../src/native/abi.ts";

const PHASES = 8;
const OWNERS = 128;
const OUTCOMES = 64;

function fields(word: number): number[] {
  return [phaseOf(word), ownerOf(word), outcomeOf(word), generationOf(word)];
}

it("keeps all four fields apart", () => {
  const field = (count: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: count - 1 });
  const all = fc.tuple(field(PHASES), field(OWNERS), field(OUTCOMES), field(GENERATION_MASK + 1));
  fc.assert(
    fc.property(all, ([phase, owner, outcome, generation]) => {
      const word = slotWord(phase, owner, outcome, generation);
      expect(word | 0).toBe(word);
      expect(fields(word)).toEqual([phase, owner, outcome, generation]);
    }),
  );
});

it.each([
  ["phase", [PHASES - 1, 0, 0, 0]],
  ["owner", [0, OWNERS - 1, 0, 0]],
  ["outcome", [0, 0, OUTCOMES - 1, 0]],
  ["generation", [0, 0, 0, GENERATION_MASK]],
  ["everything", [PHASES - 1, OWNERS - 1, OUTCOMES - 1, GENERATION_MASK]],
])("holds the largest %s", (_, [phase, owner, outcome, generation]) => {
  expect(fields(slotWord(phase, owner, outcome, generation))).toEqual([phase, owner, outcome, generation]);
});

it("survives the way through an Int32Array", () => {
  const words = new Int32Array(1);
  words[0] = slotWord(Phase.done, 0, Outcome.instanceLost, GENERATION_MASK);
  expect(fields(words[0])).toEqual([Phase.done, 0, Outcome.instanceLost, GENERATION_MASK]);
});

it("tells its own outcomes from the C library's statuses", () => {
  expect(-TP_ERR_INTERNAL).toBeLessThan(Outcome.instanceLost);
  expect(Outcome.instanceLost).toBeLessThan(OUTCOMES);
});

it("starts as free: fresh memory is all zero", () => {
  expect(phaseOf(0)).toBe(Phase.free);
});
