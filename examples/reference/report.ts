/** The report of examples/reference.ts, for people. */

import { relative, sep } from "node:path";
import type { PipeConfig, PipeDescription } from "trtpipe";
import type { Answer } from "./answers.ts";
import type { Load } from "./clients.ts";
import { field, figure, histogram, wrap } from "./text.ts";

/** Characters of a path beside its name. */
const PATH = 67;

/** A path as seen from here; of a long one only the last folders that fit. */
function pathText(path: string): string {
  const parts = relative(process.cwd(), path).split(sep);
  let text = parts.pop()!;
  while (parts.length > 0 && `${parts.at(-1)}/${text}`.length <= PATH - 4) text = `${parts.pop()}/${text}`;
  return parts.length > 0 ? `.../${text}` : text;
}

export function headingText({ backend, instance_num, batching_timeout, max }: PipeConfig): string {
  return [
    "The reference configuration of trtpipe",
    field("model", "resnet18_-1x3x224x224.onnx"),
    field("backend", String(backend)),
    field("batches", `instance_num ${instance_num}, batching_timeout ${batching_timeout} ms, max ${max}`),
  ].join("\n");
}

export function fallbackText(fallback: string, asked: PipeConfig, description: PipeDescription): string {
  return wrap(`${asked.backend} does not run here: ${fallback}. Using SyncTensor[${description.backend}].`);
}

export function ranText(description: PipeDescription, clients: number): string {
  const { runtime, binding, engine, engineLibrary, intraOpThreads, instanceNum, session } = description;
  const threads = intraOpThreads === 1 ? "1 thread" : `${intraOpThreads} threads`;
  const sessions = session === "shared" ? "one shared session" : "a session each";
  return [
    "What ran",
    field("runtime", `${runtime}; the C library is called through ${binding}`),
    field("engine", `${engine}, ${instanceNum} instances x ${threads}, ${sessions}`),
    field("library", pathText(engineLibrary)),
    field("weights", "seeded, not trained: ResNet18's work, but not its answers"),
    field("input", "float32 1x3x224x224 of a photo"),
    field("clients", `${clients} at once; each sends one, waits for the answer, sends the next`),
  ].join("\n");
}

export function loadText(load: Load): string {
  const { requests, failed, error, wrong, elapsedMs, requestsPerS, p50Ms, p99Ms, batches } = load;
  return [
    `What came of it, in ${figure(elapsedMs / 1000)} s`,
    field("requests", `${requests} answered, ${failed} failed, ${wrong} with another answer than alone`),
    ...(error === null ? [] : [field("failure", error)]),
    field("speed", `${figure(requestsPerS)} requests/s`),
    field("latency", `p50 ${figure(p50Ms)} ms, p99 ${figure(p99Ms)} ms`),
    field(
      "of which",
      `${figure(batches.meanWaitMs)} ms waiting, ${figure(batches.meanRunMs)} ms running (means)`,
    ),
    "",
    `Batches: ${batches.count} with ${figure(batches.meanRows)} rows on average`,
    "  rows  batches",
    ...histogram(batches.sizes),
    "  full: max rows waited; idle: no instance was running;",
    "  timeout: the oldest row had waited for batching_timeout",
  ].join("\n");
}

export function answersText(answers: readonly Answer[]): string {
  const lines = ["What is on the photos? EfficientNet-Lite0, with trained weights, in such a pipe"];
  for (const { file, shows, right, guesses } of answers) {
    lines.push(wrap(`${right ? "right" : "WRONG"}: it shows ${shows}`, `  ${file.padEnd(13)}`));
    for (const { name, probability } of guesses) {
      lines.push(`    ${(probability * 100).toFixed(1).padStart(5)} %  ${name}`);
    }
  }
  return lines.join("\n");
}
