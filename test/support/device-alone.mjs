/**
 * * Device tensors in a process of their own. The argument says what is tried: "collect": one that is
 * forgotten is given back by the collector; "allocate": what a machine without CUDA answers.
 */

import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { DeviceTensor } from "trtpipe";

function collectNow() {
  if ("Bun" in globalThis) return globalThis.Bun.gc(true);
  if (globalThis.gc === undefined) {
    setFlagsFromString("--expose-gc");
    globalThis.gc = runInNewContext("gc");
  }
  globalThis.gc();
}

async function forget() {
  await DeviceTensor.from([1, 2, 3, 4]);
}

async function collect() {
  const kept = await DeviceTensor.from([5, 6]);
  await forget();
  const before = DeviceTensor.usage().tensors;
  for (let tries = 0; DeviceTensor.usage().tensors > 1 && tries < 200; tries++) {
    collectNow();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { data } = await kept.toHost();
  console.log(`${before} tensors, then ${DeviceTensor.usage().tensors}, which has ${[...data]}`);
  kept.dispose();
}

const tried = process.argv[2] === "collect" ? collect() : DeviceTensor.allocate([1], "float32");
await tried.catch((error) => console.log(`${error.name} ${error.code}: ${error.message}`));
