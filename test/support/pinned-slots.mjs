/**
 * A pipe on the fake CUDA with rows that are large enough for pinned slots, called by two callers. The file
 * that FAKE_CUDA_LOG names gets a line when the pipe is closed, between the fake's lines.
 */

import process from "node:process";
import { Buffer } from "node:buffer";
import { appendFileSync } from "node:fs";
import { attach, pipe } from "trtpipe";

const model = new Uint8Array(Buffer.from(process.env.TEST_MODEL, "base64"));
const columns = Number(process.env.TEST_COLUMNS);
const models = await pipe({ backend: "TensorrtTensor", model, max: 4, instance_num: 2, max_callers: 3 });
const attached = attach(models.share());
const wrong = await Promise.all(
  Array.from({ length: 100 }, async (_, i) => {
    const data = Float32Array.from({ length: columns }, (__, k) => i + k);
    const caller = i % 3 === 0 ? attached : models;
    const { result } = await caller({ data });
    return result.data.length !== columns || result.data.some((value, k) => value !== -(i + k));
  }),
);
process.stdout.write(`wrong: ${wrong.filter(Boolean).length}\n`);
await attached.close();
await models.close();
appendFileSync(process.env.FAKE_CUDA_LOG, "closed\n");
