/** Tensors in device memory that slots hold when their callers end, or when the calls that read them hang. */

import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runChild } from "../support/child.ts";
import { fakeCuda, libraries, negationModel } from "../support/tensorrt.ts";

const folder = mkdtempSync(join(tmpdir(), "trtpipe-callers-"));
afterAll(() => rmSync(folder, { recursive: true }));

const cases: Record<string, readonly string[]> = {
  ended: ["held: true", "answered -1,-2,-3,-4", "held: true", "answered -1,-2,-3,-4"],
  closed: [],
  hung: ["InstanceLostError", "held: true, quarantined: 1", "answered -1,-2,-3,-4"],
  hungAndEnded: ["held: true", "answered -1,-2,-3,-4"],
  hungAndClosed: ["InstanceLostError", "closed"],
};

describe.each(["host", "device"])("with results in %s memory", (output) => {
  it.each(Object.entries(cases))("%s: nothing is left", async (name, expected) => {
    const env = {
      TRTPIPE_CUDA: fakeCuda(),
      TRTPIPE_TENSORRT: libraries.tensorrt10,
      TEST_MODEL: Buffer.from(negationModel()).toString("base64"),
      FAKE_CUDA_HOLD: join(folder, `${name}-${output}`),
    };
    const args = [name, output];
    const { lines, ...ended } = await runChild("test/support/device-callers.mjs", { args, env });
    expect({ lines, ...ended }).toEqual({
      lines: [...expected, "nothing is held"],
      hung: false,
      signal: null,
      code: 0,
      stderr: "",
    });
  });
});
