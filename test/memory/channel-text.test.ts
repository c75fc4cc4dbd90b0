/** The text of a failed row: what fits comes back as it was, the rest is cut between characters. */

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TEXT_BYTES } from "../../src/memory/layout.ts";
import { makeChannel } from "../support/memory.ts";

const ROOM = TEXT_BYTES - 2;

function roundTrip(text: string): string {
  const channel = makeChannel({ slots: 3 });
  channel.texts.write(1, text);
  return channel.texts.read(1);
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

describe("a failed row's text", () => {
  it.each(["", "short", "größe → 🦊", "x".repeat(ROOM)])("comes back: %j", (text) => {
    expect(roundTrip(text)).toBe(text);
  });

  it("is cut to what fits", () => {
    expect(roundTrip("x".repeat(ROOM + 1))).toBe("x".repeat(ROOM));
  });

  it.each(["é", "→", "🦊"])("is never cut inside %s", (character) => {
    for (let shift = 0; shift < bytesOf(character); shift++) {
      const text = "x".repeat(shift) + character.repeat(ROOM);
      const cut = roundTrip(text);
      expect(text.startsWith(cut)).toBe(true);
      expect(bytesOf(cut)).toBeGreaterThan(ROOM - bytesOf(character));
    }
  });

  it("is a beginning of what was written, whatever that was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 600 }), (text) => {
        const read = roundTrip(text);
        expect(text.startsWith(read)).toBe(true);
        expect(read === text || bytesOf(text) > ROOM).toBe(true);
      }),
    );
  });

  it("is each slot's own, and the last one written", () => {
    const channel = makeChannel({ slots: 3 });
    channel.texts.write(0, "x".repeat(ROOM));
    channel.texts.write(1, "a long text that is written over");
    channel.texts.write(2, "y".repeat(ROOM));
    channel.texts.write(1, "short");
    expect([0, 1, 2].map((slot) => channel.texts.read(slot))).toEqual([
      "x".repeat(ROOM),
      "short",
      "y".repeat(ROOM),
    ]);
  });
});
