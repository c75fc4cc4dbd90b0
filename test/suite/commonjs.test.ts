/** The package's other face: `require("trtpipe")`. */

import { expect, it } from "vitest";
import { loadNative } from "../../src/native/load.ts";
import { runChild } from "../support/child.ts";

it("works from CommonJS, with instance threads of its own format", async () => {
  const ended = await runChild("test/support/commonjs.cjs");
  expect(ended).toMatchObject({ hung: false, code: 0, signal: null, stderr: "" });
  expect(JSON.parse(ended.lines[0])).toEqual({
    values: [1, 2, 3, 4],
    classes: [true, true],
    binding: loadNative().binding,
    runtime: expect.stringMatching(/^(node|bun|deno) \d/),
  });
});
