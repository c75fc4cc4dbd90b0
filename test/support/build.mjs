/**
 * Builds an engine with the fake TensorRT and prints how it goes: each new state, then how it ended. The
 * arguments are the cache, and after which state it is given up and how: `abort`, `break`, or neither.
 */

import { readFileSync } from "node:fs";
import { build } from "trtpipe";

const [model, cache, how = "", extra = "{}"] = process.argv.slice(2);
const controller = new AbortController();
const config = {
  backend: "TensorrtTensor",
  model: readFileSync(model),
  max: 4,
  "model::cache": cache,
  ...JSON.parse(extra),
};
try {
  for await (const { fraction, stage, elapsedMs } of build(config, { signal: controller.signal })) {
    console.log(JSON.stringify({ fraction, stage, elapsedMs }));
    if (fraction < 0.3) continue;
    if (how === "break") break;
    if (how === "abort") controller.abort(new Error("enough"));
  }
  console.log("done");
} catch (error) {
  console.log(`failed: ${error.message}`);
}
