/** The keys that put what is done to an image in front of the model. */

import type { ImageInput } from "../onnx/image-input.ts";
import { guarded, readChoice, readText, refuse } from "./config-values.ts";
import type { ImageOptions } from "./types.ts";
import { tagOf } from "./views.ts";

type Key = keyof ImageOptions;
type Reader = <T>(key: Key, reader: (field: string, value: unknown) => T, absent: null) => T | null;

/** More than any image has, and a bound for the work. */
const CHANNELS_MAX = 4096;

/** What was given, checked; null if nothing was. `read` as in `readTensorrt`. Throws ConfigError. */
export function readImage(read: Reader): ImageInput | null {
  const image: ImageInput = {
    input: read("image_input", (field, value) => readText(field, value, "an input's name"), null),
    mean: read("mean", (field, value) => readChannels(field, value, false), null),
    std: read("std", (field, value) => readChannels(field, value, true), null),
    layout: read("input_layout", (field, value) => readChoice(field, value, ["NCHW", "NHWC"]), null),
    dtype: read("input_dtype", (field, value) => readChoice(field, value, ["uint8", "float32"]), null),
  };
  const { input, mean, std } = image;
  if (mean !== null && std !== null && mean.length !== std.length) {
    throw refuse("std", std.join(","), `as many values as mean has, which are ${mean.length}`);
  }
  if (mean !== null || std !== null || image.layout !== null || image.dtype !== null) return image;
  if (input === null) return null;
  throw refuse("image_input", input, "one of mean, std, input_layout and input_dtype beside it");
}

/** `"123.675,116.28,103.53"`, a list of such numbers, or one number. */
function readChannels(field: string, value: unknown, positive: boolean): readonly number[] {
  const expected = `${positive ? "numbers above 0" : "numbers"}, one for each channel: "58.4,57.1,57.4"`;
  const parts = partsOf(field, value);
  if (parts === null || parts.length === 0 || parts.length > CHANNELS_MAX)
    throw refuse(field, value, expected);
  return parts.map((part) => {
    const number = typeof part === "string" && DECIMAL.test(part.trim()) ? Number(part) : part;
    // Beyond float32, which the graph has, a value would be infinite or 0.
    const rounded = typeof number === "number" ? Math.fround(number) : NaN;
    if (Number.isFinite(rounded) && (!positive || rounded > 0)) return number as number;
    throw refuse(field, value, expected);
  });
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function partsOf(field: string, value: unknown): readonly unknown[] | null {
  if (typeof value === "string") return value.split(",", CHANNELS_MAX + 1);
  if (typeof value === "number") return [value];
  return guarded(field, () => {
    const isList = Array.isArray(value) || /^Float(32|64)Array$/.test(tagOf(value) ?? "");
    return isList ? Array.from((value as unknown[]).slice(0, CHANNELS_MAX + 1)) : null;
  });
}
