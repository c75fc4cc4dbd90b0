/** A model that is loaded again while it is asked: every request is answered, by the old one or the new. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { findSources } from "../../src/server/sources.ts";
import { identityModel } from "../models.ts";
import { useFaultLibrary } from "../support/fault.ts";
import { affineModel } from "../support/models.ts";
import { sleep, within } from "../support/pipes.ts";
import { ask, errorOf, jsonInput, starter } from "../support/server.ts";

useFaultLibrary();
const start = starter(afterAll);
const folder = mkdtempSync(join(tmpdir(), "trtpipe-reload-"));
afterAll(() => rmSync(folder, { recursive: true }));

const ROW = [1, 2, 3, 4];
/** What the two models make of it: y = 2 x + 1, and y = x. */
const AFFINE = "[3,5,7,9]";
const SAME = "[1,2,3,4]";

it("is replaced without a failed request, and a broken one leaves the old one", async () => {
  const path = join(folder, "model.onnx");
  writeFileSync(path, affineModel());
  const config = { backend: "OnnxTensor", model: path, instance_num: 2, max: 4 };
  const { port } = await start({ m: config }, { mayChange: true });
  const load = () => ask(port, "/v2/repository/models/m/load", { body: "" });
  const body = JSON.stringify({ inputs: [jsonInput("x", "FP32", [1, 4], ROW)] });
  /** Each request: when it was sent, and what it was answered. */
  const answers: [sentMs: number, answer: string][] = [];
  const until = { over: false };
  const loop = async (): Promise<void> => {
    while (!until.over) {
      const sentMs = performance.now();
      const { status, json } = await ask(port, "/v2/models/m/infer", { body });
      const data = JSON.stringify((json as { outputs?: { data: number[] }[] }).outputs?.[0].data);
      answers.push([sentMs, status === 200 ? data : `${status} ${JSON.stringify(json)}`]);
    }
  };
  const loops = Array.from({ length: 8 }, loop);

  for (let round = 0; round < 6; round++) {
    const next = round % 2 === 0 ? SAME : AFFINE;
    writeFileSync(path, next === SAME ? identityModel("float32") : affineModel());
    expect((await within(load(), "load", 20_000)).status).toBe(200);
    const loadedMs = performance.now();
    writeFileSync(path, "broken");
    const broken = await load();
    expect([broken.status, errorOf(broken)]).toEqual([400, expect.stringContaining("model.onnx")]);
    expect(errorOf(broken)).not.toContain(folder);
    expect((await ask(port, "/v2/health/ready")).status).toBe(200);
    await sleep(50);
    const later = answers.filter(([sentMs]) => sentMs > loadedMs);
    expect(later.filter(([, answer]) => answer !== next)).toEqual([]);
  }
  until.over = true;
  await within(Promise.all(loops), "the requests");
  expect(answers.length).toBeGreaterThan(100);
  expect(answers.filter(([, answer]) => answer !== SAME && answer !== AFFINE)).toEqual([]);
}, 60_000);

it("something wrong that comes into the folder keeps nothing else from being loaded", async () => {
  const models = mkdtempSync(join(folder, "models-"));
  const path = join(models, "m.onnx");
  writeFileSync(path, affineModel());
  const sources = () => findSources(models, { backend: "OnnxTensor" }, "latest");
  const { port } = await start({}, { mayChange: true, sources });
  const post = (what: string) => ask(port, `/v2/repository/${what}`, { body: "" });
  const infer = async (): Promise<number> => {
    const body = JSON.stringify({ inputs: [jsonInput("x", "FP32", [1, 4], ROW)] });
    return (await ask(port, "/v2/models/m/infer", { body })).status;
  };
  writeFileSync(join(models, "broken.toml"), "[x]\nmax = = 4\n");
  expect((await post("index")).json).toEqual([
    { name: "m", version: "1", state: "READY", reason: "" },
    {
      name: "broken",
      version: "1",
      state: "UNAVAILABLE",
      reason: expect.stringContaining("line 2, column 7"),
    },
  ]);
  expect((await post("models/m/load")).status).toBe(200);
  const broken = await post("models/broken/load");
  expect([broken.status, errorOf(broken)]).toEqual([400, expect.stringContaining("broken.toml")]);
  expect(errorOf(broken)).not.toContain(models);

  // What is gone from the folder is served until somebody says otherwise.
  for (const name of ["m.onnx", "broken.toml"]) rmSync(join(models, name));
  expect((await post("index")).json).toContainEqual({ name: "m", version: "1", state: "READY", reason: "" });
  expect((await post("models/m/load")).status).toBe(400);
  expect([await infer(), (await ask(port, "/v2/health/ready")).status]).toEqual([200, 200]);
}, 20_000);
