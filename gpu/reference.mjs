/**
 * The reference configuration on a GPU, as a user runs it: ten clients at once, every answer compared with
 * what ONNX Runtime computed on a CPU.
 *
 *   node reference.mjs PACKAGE MODEL EXPECTED [requests=N] [clients=N] [tolerance=X] [device=1]
 *       [key=value ...]
 *
 * PACKAGE is trtpipe's dist/index.js, EXPECTED what expected.mjs wrote. Defaults: 100000, 10,
 * 0.001. With device=1, inputs and results are DeviceTensors, and every 64th answer is compared. Other keys
 * go into the configuration.
 * Prints one JSON object and ends with 0 if no answer was wrong and none failed.
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [library, model, expectedFile, ...pairs] = process.argv.slice(2);
const { DeviceTensor, Tensor, pipe } = await import(pathToFileURL(resolve(library)).href);
const given = Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
const { requests = "100000", clients = "10", tolerance = "0.001", device = "0", ...config } = given;
const onDevice = device === "1";
if (onDevice) config.output = "device";
const COMPARED_EVERY = onDevice ? 64 : 1;

/** The file of check.c: a head of 24 bytes, then the inputs, then the outputs. */
const file = readFileSync(expectedFile);
const [rows, inputElements, outputElements] = new Uint32Array(file.buffer, file.byteOffset + 8, 3);
const floats = new Float32Array(file.buffer.slice(file.byteOffset + 24, file.byteOffset + file.length));
const inputs = Array.from({ length: rows }, (_, row) =>
  floats.slice(row * inputElements, (row + 1) * inputElements),
);
const from = rows * inputElements;
const outputs = Array.from({ length: rows }, (_, row) =>
  floats.subarray(from + row * outputElements, from + (row + 1) * outputElements),
);

/** MiB of device memory in use, by all programs. */
function deviceMemory() {
  const query = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
  return Number(execFileSync("nvidia-smi", query, { encoding: "utf8" }).split("\n")[0]);
}

/** Largest difference to the expected row, relative to its largest number. */
function difference(got, expected) {
  let [worst, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(got[i] - expected[i]);
    if (!(error <= worst)) worst = error;
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return got.length === expected.length ? worst / largest : Infinity;
}

const shape = [1, 3, 224, 224];
const data = onDevice
  ? await Promise.all(inputs.map((row) => DeviceTensor.from(Tensor.from(row, { shape }), { device_id: 0 })))
  : inputs;
const loadMs = performance.now();
const models = await pipe({
  instance_num: 2,
  batching_timeout: 5,
  backend: "SyncTensor[TensorrtTensor]",
  model,
  max: 4,
  ...config,
});
const loadedMs = performance.now() - loadMs;
const total = Number(requests);
const times = new Float64Array(total);
let [sent, wrong, failed, worst] = [0, 0, 0, 0];

async function client() {
  while (sent < total) {
    const n = sent++;
    const row = n % rows;
    const input = { data: data[row] };
    const startMs = performance.now();
    try {
      await models(input);
    } catch {
      failed++;
      continue;
    }
    times[n] = performance.now() - startMs;
    const { result } = input;
    const compared = n % COMPARED_EVERY === 0;
    const host = onDevice && compared ? await result.toHost() : result;
    if (onDevice) result.dispose();
    if (!compared) continue;
    const error = difference(host.data, outputs[row]);
    worst = Math.max(worst, error);
    if (!(error <= Number(tolerance))) wrong++;
  }
}

/** One lone request after the other. */
async function alone(count) {
  const lone = new Float64Array(count);
  for (let n = 0; n < count; n++) {
    const startMs = performance.now();
    const { result } = await models({ data: data[n % rows] });
    lone[n] = performance.now() - startMs;
    if (onDevice) result.dispose();
  }
  return lone.toSorted();
}

await alone(50);
const lone = await alone(500);
const memoryBefore = deviceMemory();
const startMs = performance.now();
await Promise.all(Array.from({ length: Number(clients) }, client));
const seconds = (performance.now() - startMs) / 1000;
const memoryAfter = deviceMemory();
const sorted = times.toSorted();
const { engine, instanceNum, max } = models.describe();
const { meanBatch, reasons, meanRunMs, meanWaitMs } = models.stats();
const round = (number, digits) => Number(number.toFixed(digits));
console.log(
  JSON.stringify({
    engine, instanceNum, max, ...config, clients: Number(clients), on_device: onDevice,
    requests: total, wrong, failed,
    worst_relative: worst, requests_per_s: round(total / seconds, 1),
    p50_ms: round(sorted[Math.floor(total / 2)], 3), p99_ms: round(sorted[Math.floor(total * 0.99)], 3),
    lone_p50_ms: round(lone[250], 3), mean_batch: round(meanBatch, 2), reasons,
    mean_run_ms: round(meanRunMs, 3), mean_wait_ms: round(meanWaitMs, 3), load_ms: round(loadedMs, 0),
    device_memory_mib: [memoryBefore, memoryAfter],
  }),
); // prettier-ignore
await models.close();
if (onDevice) {
  for (const tensor of data) tensor.dispose();
  const { tensors } = DeviceTensor.usage({ device_id: 0 });
  if (tensors !== 0) failed++;
  console.log(JSON.stringify({ tensors_left: tensors }));
}
process.exitCode = wrong + failed === 0 ? 0 : 1;
