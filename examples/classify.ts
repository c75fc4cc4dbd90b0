/** `npx tsx examples/classify.ts PHOTO...`: what is on these photos? */

import { fileURLToPath } from "node:url";
import { pipe } from "trtpipe";
import type { Tensor } from "trtpipe";
import { imageTensor } from "./images.ts";
import { imagenetLabels, topGuesses } from "./labels.ts";

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: classify.ts PHOTO...");
  process.exit(2);
}

const models = await pipe({
  model: fileURLToPath(new URL("data/efficientnet_lite0.onnx", import.meta.url)),
  instance_num: 2,
  max: 4,
});
const labels = imagenetLabels();

async function classify(file: string): Promise<void> {
  try {
    const { result } = await models({ data: await imageTensor(file) });
    const guesses = topGuesses((result as Tensor<"float32">).data, labels, 3);
    const words = guesses.map(({ name, probability }) => `${name} ${(probability * 100).toFixed(1)} %`);
    console.log(`${file}: ${words.join(", ")}`);
  } catch (error) {
    console.error(`${file}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

await Promise.all(files.map((file) => classify(file)));
await models.close();
