/**
 * A pipe on the fake CUDA, whose device is lost at one of its batches: FAKE_CUDA_FAIL says at which, in each
 * process. The argument is the backend.
 */

import process from "node:process";
import { Buffer } from "node:buffer";
import { pipe } from "trtpipe";

const model = new Uint8Array(Buffer.from(process.env.TEST_MODEL, "base64"));
const [, , backend] = process.argv;
const models = await pipe({ backend, model, spin_us: 0, warm_up: 0, log: () => {} });
for (let i = 1; i <= 4; i++) {
  const outcome = await models({ data: Float32Array.of(i, 0, 0, 0) }).then(
    ({ result }) => `answered ${result.data[0]}`,
    (error) => `${error.name} ${error.code}: ${error.message}`,
  );
  process.stdout.write(`${outcome}\n`);
}
await models.close();
process.stdout.write("closed\n");
