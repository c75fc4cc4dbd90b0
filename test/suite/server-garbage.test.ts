/** How often a server in Node marks its whole heap: for some 20 ms it then answers nobody. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { thisRuntime } from "../native/this-runtime.ts";
import { Fault, useFaultLibrary } from "../support/fault.ts";
import { within } from "../support/pipes.ts";
import { launcher, terminate } from "../support/serve.ts";
import { ask } from "../support/server.ts";
import { root } from "../tidy/sources.ts";

const IMAGE_BYTES = 602_112;
const IMAGES = 400;
const CLIENTS = 10;
const RUN_MS = 20;
/** V8 by itself marks some 25 times here, and once as the server sets it up. */
const MARKS_MAX = 10;

useFaultLibrary();
let folder = "";
const { serve } = launcher(afterEach, () => folder);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-garbage-"));
  const backend = `(shape=${IMAGE_BYTES / 4})Fault`;
  writeFileSync(join(folder, "image.toml"), `[image]\nbackend = "${backend}"\nmax = 4\ninstance_num = 2\n`);
});

afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(folder, { recursive: true }));

describe.runIf(thisRuntime === "node")("bodies of images", () => {
  it("have the heap marked seldom", async () => {
    vi.stubEnv("NODE_OPTIONS", `--import ${join(root, "test", "support", "count-marks.mjs")}`);
    const { port, child, ended, log } = await serve("image.toml");
    const headers = { "inference-header-content-length": "0" };
    const row = new Float32Array(IMAGE_BYTES / 4);
    row.set([Fault.sleepMs, RUN_MS]);
    const body = new Uint8Array(row.buffer);
    let left = IMAGES;
    const client = async (): Promise<void> => {
      while (left-- > 0)
        expect((await ask(port, "/v2/models/image/infer", { headers, body })).status).toBe(200);
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    terminate(child);
    expect(await within(ended, "the server's end")).toBe(0);
    const [, collections, marks] = /^collected (\d+) times, marked (\d+)$/m.exec(log()) ?? [];
    // It was watched at all.
    expect(Number(collections)).toBeGreaterThan(MARKS_MAX);
    expect(Number(marks)).toBeLessThanOrEqual(MARKS_MAX);
  }, 40_000);
});
