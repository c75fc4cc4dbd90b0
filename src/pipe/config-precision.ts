/** The keys that say what layers compute in. */

import type { HalfDtype } from "../onnx/halves.ts";
import type { Conversion } from "../onnx/precision.ts";
import { readChoice, readText, refuse } from "./config-values.ts";
import type { PrecisionOptions } from "./types.ts";

const PRECISIONS = ["fp32", "tf32", "fp16", "bf16"] as const;

/** What was given, checked. */
export interface PrecisionConfig {
  /** null: float32, as each backend does it. */
  precision: (typeof PRECISIONS)[number] | null;
  /** How the graph is converted where the engine cannot do it; null: no layer computes in 16 bits. */
  conversion: Conversion | null;
  /** Layers are named, which only a converted graph can tell the engine. */
  layers: boolean;
}

type Key = keyof PrecisionOptions;
type Reader = <T>(key: Key, reader: (field: string, value: unknown) => T, absent: null) => T | null;

/** `read` as in `readTensorrt`. Throws ConfigError. */
export function readPrecision(read: Reader): PrecisionConfig {
  const precision = read("precision", (field, value) => readChoice(field, value, PRECISIONS), null);
  const [float32, fp16, bf16] = (["precision::fp32", "precision::fp16", "precision::bf16"] as const).map(
    (key) => read(key, readLayers, null),
  );
  const layers = Boolean(float32 ?? fp16 ?? bf16);
  const dtype = halfDtype(precision, fp16, bf16);
  if (dtype === null) {
    if (!float32) return { precision, conversion: null, layers };
    throw refuse("precision::fp32", float32.join(","), "precision fp16 or bf16 beside it");
  }
  const all = precision === "fp16" || precision === "bf16";
  const conversion = { dtype, all, half: fp16 ?? bf16 ?? [], float32: float32 ?? [] };
  return { precision, conversion, layers };
}

/** The 16-bit type of a model, which is one. */
function halfDtype(
  precision: PrecisionConfig["precision"],
  fp16: readonly string[] | null | undefined,
  bf16: readonly string[] | null | undefined,
): HalfDtype | null {
  if (fp16 && (bf16 || precision === "bf16"))
    throw refuse("precision::fp16", fp16.join(","), "one 16-bit precision in a model, not bf16 beside it");
  if (bf16 && precision === "fp16")
    throw refuse("precision::bf16", bf16.join(","), "one 16-bit precision in a model, not fp16 beside it");
  if (precision === "fp16" || fp16) return "float16";
  return precision === "bf16" || bf16 ? "bfloat16" : null;
}

const LAYERS_MAX = 4096;

/** `"conv1,layer2*"`, or a list of such names, which may then have commas in them. */
function readLayers(field: string, value: unknown): readonly string[] {
  const expected = `layers' names with "," between them, or a list of at most ${LAYERS_MAX} names`;
  let names: unknown[];
  try {
    if (typeof value === "string") names = value.split(",", LAYERS_MAX + 1).map((name) => name.trim());
    else if (Array.isArray(value)) names = Array.from(value.slice(0, LAYERS_MAX + 1) as unknown[]);
    else throw refuse(field, value, expected);
  } catch {
    throw refuse(field, value, expected);
  }
  if (names.length === 0 || names.length > LAYERS_MAX) throw refuse(field, value, expected);
  return names.map((name) => readText(field, name, "a layer's name"));
}
