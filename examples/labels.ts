/** What a classifier's numbers mean. */

import { readFileSync } from "node:fs";

export interface Guess {
  /** Index of the class. */
  index: number;
  name: string;
  /** 0..1; over all classes they sum to 1. */
  probability: number;
}

/** The first name of each of ImageNet's 1000 classes. */
export function imagenetLabels(): readonly string[] {
  const url = new URL("data/imagenet_classes.json", import.meta.url);
  const names = JSON.parse(readFileSync(url, "utf8")) as string[];
  return names.map((name) => name.split(",")[0]!.trim());
}

/** The `count` likeliest classes, likeliest first. `logits` has one number per label, before the softmax. */
export function topGuesses(logits: ArrayLike<number>, labels: readonly string[], count = 5): Guess[] {
  if (logits.length !== labels.length) {
    throw new RangeError(`Cannot name ${logits.length} classes: there are ${labels.length} labels`);
  }
  // The largest is taken off first, so that exp never overflows.
  const values = Array.from(logits);
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = values.map((value) => Math.exp(value - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights
    .map((weight, index) => ({ index, name: labels[index]!, probability: weight / sum }))
    .toSorted((a, b) => b.probability - a.probability)
    .slice(0, count);
}
