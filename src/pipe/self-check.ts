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
 * some rounding errors of the type, since they add up from layer to layer. What mixes up rows is far beyond.
 */
const TOLERANCES = { fp32: 1e-3, tf32: 1e-2, fp16: 2e-2, bf16: 1e-1 } as const;

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
  return { dtypes: tensors.map(({ dtype }) => dtypes[dtype].number), tolerance };
}

/**
 * The model with the largest batch that is right, and a line in the log if that is less than it was. Throws
 * ModelLoadError where smaller batches cannot be had.
 */
export function checkedSpec(report: CheckReport, spec: ModelSpec, path: string, log: Log): ModelSpec {
  const { rows, wrong, unsure } = report;
  if (unsure !== "") log("info", `It cannot be told whether batches are right: ${unsure}`, { model: path });
  if (wrong === null) return spec;
  const { name } = spec.outputs[wrong.output];
  const by = `${show(wrong.by)} (${show(wrong.allowed)} is allowed)`;
  const where = `in a batch of ${wrong.batch}, row ${wrong.row} of output "${name}"`;
  const what = `${where} differs from that row alone by ${by}`;
  const off = "self_check: false turns this check off";
  const why = spec.batch === "fixed" ? "its batch size is fixed" : `min is ${showRows(spec.minRows)}`;
  if (spec.batch === "fixed" || rows < spec.minRows) {
    throw new ModelLoadError(path, "warm-up", `Cannot use model ${path}: ${what}, and ${why}; ${off}`);
  }
  const text = `max is lowered from ${spec.maxRows} to ${rows}: ${what}; ${off}`;
  log("warn", text, { model: path, output: name, row: wrong.row, max: rows });
  return { ...spec, maxRows: rows };
}

function show(value: number): string {
  return String(Number(value.toPrecision(3)));
}
