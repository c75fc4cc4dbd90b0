/** Whether a model may take the place of another: rows lie in the slots as the first one wants them. */

import { ConfigError } from "../errors.ts";
import { readDescription } from "./describe-model.ts";
import type { ModelDescription, TensorDescription } from "./describe-model.ts";
import { fullShape } from "./spec.ts";
import type { ModelSpec } from "./spec.ts";
import { showShape } from "./shape.ts";

/**
 * Compares what the C library tells of both. Throws a ConfigError that names the first tensor that differs.
 */
export function checkSameModel(served: unknown, next: unknown, name: string): void {
  const [was, is] = [readDescription(served), readDescription(next)];
  checkTensors("input", was, is, name);
  checkTensors("output", was, is, name);
  if (was.batch === is.batch && was.batchSize === is.batchSize) return;
  throw differs(name, `${batchOf(was)}, as the model that is served`, `it has ${batchOf(is)}`);
}

/**
 * What the next model is in slots that were laid out for the one that is served: whether slots say where
 * inputs are is settled. One that takes host memory alone then runs on no device. `max` stays, also where it
 * was lowered.
 */
export function inSlotsOf({ device, maxRows }: ModelSpec, next: ModelSpec): ModelSpec {
  if (device === null) return { ...next, device, maxRows };
  return { ...next, device: next.device ?? { ids: [], outputs: false, pinnedBytes: 0 }, maxRows };
}

function checkTensors(
  kind: "input" | "output",
  was: ModelDescription,
  is: ModelDescription,
  name: string,
): void {
  const [before, after] = kind === "input" ? [was.inputs, is.inputs] : [was.outputs, is.outputs];
  for (const [k, tensor] of before.entries()) {
    const expected = `${kind} ${k + 1} as ${showTensor(was, tensor)}, which the slots are laid out for`;
    if (k >= after.length) throw differs(name, expected, `it has ${after.length} ${kind}s`);
    const got = showTensor(is, after[k]);
    if (got !== showTensor(was, tensor)) throw differs(name, expected, `it has ${got}`);
  }
  if (after.length === before.length) return;
  const more = showTensor(is, after[before.length]);
  throw differs(name, `${before.length} ${kind}s, as the model that is served`, `it also has ${more}`);
}

/** All that counts: name, element type and full shape. */
function showTensor(model: ModelDescription, { name, dtype, shape }: TensorDescription): string {
  const shown = shape === null ? "of unknown rank" : showShape(fullShape(model, shape));
  return `${JSON.stringify(name)} ${dtype} ${shown}`;
}

function batchOf({ batch, batchSize }: ModelDescription): string {
  if (batch === "none") return "no batch dimension";
  return batch === "fixed" ? `a batch dimension of ${batchSize}` : "an open batch dimension";
}

function differs(name: string, expected: string, hint: string): ConfigError {
  return new ConfigError("model", name, expected, { hint });
}
