/**
 * A pipe on the fake CUDA whose output's size only its data decide. Each request has a larger answer than the
 * one before and so needs memory of the device; FAKE_CUDA_FAIL says which of them get none.
 */

import process from "node:process";
import { Buffer } from "node:buffer";
import { pipe } from "trtpipe";

const model = new Uint8Array(Buffer.from(process.env.TEST_MODEL, "base64"));
const models = await pipe({ backend: "TensorrtTensor", model, spin_us: 0, warm_up: 0, log: () => {} });
let right = 0;
for (let size = 1; size <= 40; size++) {
  try {
    const { result } = await models({ data: Float32Array.of(size, 0) });
    if (result.data.length === size && result.data.every((x) => x === size)) right++;
  } catch (error) {
    process.stdout.write(`${error.name} ${error.code}: ${error.message}\n`);
  }
}
await models.close();
process.stdout.write(`right: ${right}\n`);
