/**
 * The reference configuration: ResNet18 with two instances and batches of up to four, asked by ten clients at
 * once. Run by `npm start`; see reference/options.ts for what it takes.
 */

import type { PipeConfig, PipeDescription } from "trtpipe";
import { imageTensor } from "./images.ts";
import { ensureModel } from "./models/index.ts";
import { step } from "./progress.ts";
import { askAboutPhotos, dataPath, photos } from "./reference/answers.ts";
import { runClients } from "./reference/clients.ts";
import type { Load } from "./reference/clients.ts";
import { openWithFallback } from "./reference/open.ts";
import { readOptions } from "./reference/options.ts";
import type { Options } from "./reference/options.ts";
import { answersText, fallbackText, headingText, loadText, ranText } from "./reference/report.ts";

const config = {
  instance_num: 2, // model instances, each on a thread of its own
  batching_timeout: 5, // ms
  backend: "SyncTensor[TensorrtTensor]",
  model: "resnet18_-1x3x224x224.onnx",
  max: 4, // largest batch
} satisfies PipeConfig;

interface Run {
  load: Load;
  description: PipeDescription;
  fallback: string | null;
}

/** Loads the model, lets the clients ask, and closes. `say` gets each part of the report when it is known. */
async function runReference({ clients, seconds }: Options, say: (text: string) => void): Promise<Run> {
  say(`${headingText(config)}\n`);
  const model = await step("writing the model", (tick) => ensureModel("resnet18", undefined, tick));
  const { models, fallback } = await step("loading the model", () => openWithFallback({ ...config, model }));
  try {
    const description = models.describe();
    if (fallback !== null) say(`${fallbackText(fallback, config, description)}\n`);
    say(`${ranText(description, clients)}\n`);
    const inputs = await Promise.all(
      photos.map(async ({ file }) => ({ name: file, data: await imageTensor(dataPath(file)) })),
    );
    const label = `running ${clients} clients for ${seconds} s`;
    const load = await step(label, () => runClients(models, inputs, clients, seconds));
    say(`${loadText(load)}\n`);
    return { load, description, fallback };
  } finally {
    await models.close();
  }
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const say = (text: string): void => {
    if (!options.json) console.log(text);
  };
  const run = await runReference(options, say);
  const backend = `SyncTensor[${run.description.backend}]`;
  const answers = await step("asking about the photos", () => askAboutPhotos({ ...config, backend }));
  say(answersText(answers));
  const ok = run.load.failed === 0 && run.load.wrong === 0 && answers.every(({ right }) => right);
  if (options.json) console.log(JSON.stringify({ ok, config, ...run, answers }));
  if (!ok) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? `${error.name}: ${error.message}` : error);
  process.exitCode = 1;
}
