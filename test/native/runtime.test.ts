/** The suite really runs in the runtime that it was started for, with that runtime's own binding. */

import { expect, it } from "vitest";
import { loadNative } from "../../src/native/load.ts";
import { bindingOfThisRuntime, thisRuntime } from "./this-runtime.ts";

it("runs in the runtime that was asked for", () => {
  expect(thisRuntime).toBe(process.env.TRTPIPE_TEST_RUNTIME ?? thisRuntime);
  expect("Bun" in globalThis).toBe(thisRuntime === "bun");
  expect("Deno" in globalThis).toBe(thisRuntime === "deno");
});

it("calls the library with the runtime's own binding", () => {
  expect(loadNative().binding).toBe(bindingOfThisRuntime);
});
