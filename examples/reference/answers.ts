/** What is on the photos? A model with trained weights answers, through the same kind of pipe. */

import { fileURLToPath } from "node:url";
import { pipe } from "trtpipe";
import type { PipeConfig, Tensor } from "trtpipe";
import { imageTensor } from "../images.ts";
import { imagenetLabels, topGuesses } from "../labels.ts";
import type { Guess } from "../labels.ts";

/** What each photo shows, and the classes of ImageNet that say so. */
export const photos: readonly { file: string; shows: string; classes: readonly number[] }[] = [
  { file: "chelsea.jpg", shows: "a cat", classes: [281, 282, 283, 284, 285] },
  { file: "coffee.jpg", shows: "espresso", classes: [967] },
  { file: "rocket.jpg", shows: "a rocket, whose nearest class is missile", classes: [657] },
];

export interface Answer {
  file: string;
  shows: string;
  right: boolean;
  guesses: readonly Guess[];
}

export function dataPath(file: string): string {
  return fileURLToPath(new URL(`../data/${file}`, import.meta.url));
}

/** Asks EfficientNet-Lite0 about all photos at once. `config` is the configuration but for the model. */
export async function askAboutPhotos(config: PipeConfig): Promise<Answer[]> {
  const models = await pipe({ ...config, model: dataPath("efficientnet_lite0.onnx") });
  try {
    const labels = imagenetLabels();
    return await Promise.all(
      photos.map(async ({ file, shows, classes }) => {
        const { result } = await models({ data: await imageTensor(dataPath(file)) });
        const guesses = topGuesses((result as Tensor<"float32">).data, labels, 3);
        return { file, shows, right: classes.includes(guesses[0].index), guesses };
      }),
    );
  } finally {
    await models.close();
  }
}
