/** What the check of batches is asked for, and what follows from what it found. */

import { ModelLoadError } from "../errors.ts";
import type { CheckReport, LoadedMessage, RowCheck } from "../protocol.ts";
import type { ParsedConfig } from "./config.ts";
import { dtypes } from "./dtype.ts";
import { showRows } from "./shape.ts";
import type { ModelSpec } from "./spec.ts";
import type { Log } from "./types.ts";

/**
 * How far outputs may be apart, relative to the largest value of a row, when another kernel computes them:
 * rounding errors of the type, which add up from layer to layer, and which a model may amplify on samples
 * that are like nothing it was made for (3e-3 in float32 was seen). What mixes up rows is far beyond.
 */
const TOLERANCES = { fp32: 2e-2, tf32: 3e-2, fp16: 5e-2, bf16: 1e-1 } as const;

/** What instance 0 is to check; null where every batch is of one row, or nobody wants it checked. */
export function rowCheck(config: ParsedConfig, spec: ModelSpec, model: LoadedMessage): RowCheck | null {
  if (!config.selfCheck || config.model === null || spec.batch === "none" || spec.maxRows === 1) return null;
  const tensors = [...spec.inputs, ...spec.outputs];
  const { precision, conversion } = config.precision;
  let tolerance: number = TOLERANCES[precision ?? "fp32"];
  const atLeast = (one: keyof typeof TOLERANCES): void => {
    tolerance = Math.max(tolerance, TOLERANCES[one]);
  };
  if (model.halves || tensors.some(({ dtype }) => dtype === "float16")) atLeast("fp16");
  if (conversion !== null) atLeast(conversion.dtype === "float16" ? "fp16" : "bf16");
  if (tensors.some(({ dtype }) => dtype === "bfloat16")) atLeast("bf16");
  return { maxRows: spec.maxRows, dtypes: tensors.map(({ dtype }) => dtypes[dtype].number), tolerance };
}

/**
 * The model with the largest batch that is right, and a line in the log if that is less than it was. Throws
 * ModelLoadError where smaller batches cannot be had.
 */
export function checkedSpec(report: CheckReport, spec: ModelSpec, path: string, log: Log): ModelSpec {
  const wrong = wrongIn(report, spec, path, log);
  if (wrong === null) return spec;
  const { rows } = report;
  if (spec.batch === "fixed") throw refusal(path, wrong.what, "its batch size is fixed");
  if (rows < spec.minRows) throw refusal(path, wrong.what, `min is ${showRows(spec.minRows)}`);
  const text = `max is lowered from ${spec.maxRows} to ${rows}: ${wrong.what}; ${OFF}`;
  log("warn", text, { model: path, output: wrong.output, row: wrong.row, max: rows });
  return { ...spec, maxRows: rows };
}

/** Throws ModelLoadError unless the model may follow another, in batches as large as `spec` says. */
export function checkSuccessor(report: CheckReport, spec: ModelSpec, path: string, log: Log): void {
  const wrong = wrongIn(report, spec, path, log);
  if (wrong !== null) throw refusal(path, wrong.what, `the pipe's max is ${showRows(spec.maxRows)}`);
}

const OFF = "self_check: false turns this check off";

function refusal(path: string, what: string, why: string): ModelLoadError {
  return new ModelLoadError(path, "warm-up", `Cannot use model ${path}: ${what}, and ${why}; ${OFF}`);
}

/** What is wrong in the largest batch; null if nothing is, or if it cannot be told, which is logged. */
function wrongIn(
  { wrong, unsure }: CheckReport,
  { outputs }: ModelSpec,
  path: string,
  log: Log,
): { output: string; row: number; what: string } | null {
  if (unsure !== "") log("info", `It cannot be told whether batches are right: ${unsure}`, { model: path });
  if (wrong === null) return null;
  const { batch, row } = wrong;
  const { name } = outputs[wrong.output];
  const by = `${show(wrong.by)} (${show(wrong.allowed)} is allowed)`;
  const where = `in a batch of ${batch}, row ${row} of output "${name}"`;
  return { output: name, row, what: `${where} differs from that row alone by ${by}` };
}

function show(value: number): string {
  return String(Number(value.toPrecision(3)));
}
