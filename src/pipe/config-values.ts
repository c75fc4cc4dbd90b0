/**
 * Readers for single configuration values: each takes what came and returns it in one form, or throws
 * ConfigError.
 */

import { ConfigError } from "../errors.ts";
import { MAX_RANK, MAX_TENSORS } from "../native/abi.ts";
import { DIM_MAX, showRows } from "./shape.ts";

/** `max` or `min`: a number of rows, or full shapes. */
export interface Limit {
  /** What came, for error texts. */
  given: number | string;
  /**
   * Rows: the number itself, or the first dimension if all shapes agree on it and it can be a batch; else
   * null.
   */
  rows: number | null;
  /** Full shapes, one for each input; null if only a number was given. */
  shapes: readonly (readonly number[])[] | null;
}

/**
 * The ConfigError for a value. A value of the caller's may be an object that throws wherever it is touched,
 * so that not even its kind can be told.
 */
export function refuse(
  field: string,
  value: unknown,
  expected: string,
  options?: ErrorOptions & { hint?: string },
): ConfigError {
  try {
    return new ConfigError(field, value, expected, options);
  } catch {
    return new ConfigError(field, "an object that cannot be read", expected, options);
  }
}

const DIGITS = /^[0-9]+$/;
const DECIMAL = /^[0-9]+(\.[0-9]+)?$/;
/** Longer texts hold no value that could be right; it also bounds the work. */
const TEXT_MAX = 4096;

export function readInteger(field: string, value: unknown, low: number, high: number): number {
  const number = toNumber(value, DIGITS);
  if (number !== undefined && Number.isInteger(number) && number >= low && number <= high) return number;
  throw refuse(field, value, `an integer from ${low} to ${high}`);
}

export function readNumber(field: string, value: unknown, low: number, high: number, unit: string): number {
  const number = toNumber(value, DECIMAL);
  if (number !== undefined && number >= low && number <= high) return number;
  throw refuse(field, value, `a number of ${unit} from ${low} to ${high}`);
}

/** A text that can be handed to the C library: not empty and without NUL. */
export function readText(field: string, value: unknown, what: string): string {
  if (typeof value === "string" && value !== "" && !value.includes("\0")) return value;
  throw refuse(field, value, `${what}, not empty and without NUL`);
}

/** TorchPipe writes 0 and 1, also as texts. */
export function readSwitch(field: string, value: unknown): boolean {
  if (value === true || value === 1 || value === "1") return true;
  if (value === false || value === 0 || value === "0") return false;
  throw refuse(field, value, "true or false");
}

export function readChoice<C extends string>(field: string, value: unknown, choices: readonly C[]): C {
  const choice = choices.find((one) => one === value);
  if (choice !== undefined) return choice;
  throw refuse(field, value, choices.map((one) => `"${one}"`).join(" or "));
}

export function readLimit(field: string, value: unknown, rowsMax: number): Limit {
  if (typeof value === "string" && /[x,]/.test(value)) return readShapes(field, value, rowsMax);
  const number = toNumber(value, DIGITS);
  if (number !== undefined && Number.isInteger(number) && number >= 1 && number <= rowsMax) {
    return { given: value as number | string, rows: number, shapes: null };
  }
  throw refuse(field, value, `an integer from 1 to ${rowsMax}, or full shapes such as "4x3x640x640"`);
}

/** `"4x3x640x640,4x10"`: one shape for each input. */
function readShapes(field: string, value: string, rowsMax: number): Limit {
  const fail = (expected: string): never => {
    throw refuse(field, value, expected);
  };
  if (value.length > TEXT_MAX) fail(`full shapes of at most ${TEXT_MAX} characters`);
  const texts = value.split(",");
  if (texts.length > MAX_TENSORS) fail(`full shapes of at most ${MAX_TENSORS} inputs`);
  const shapes = texts.map((text) => {
    const shape = parseDims(text.trim());
    if (shape === undefined || shape.length > MAX_RANK) {
      return fail(
        `full shapes such as "4x3x640x640", with "," between inputs and dimensions from 0 to ${DIM_MAX}`,
      );
    }
    if (shape[0] === 0) fail("shapes that begin with at least 1");
    return shape;
  });
  // A model without a batch dimension may begin with anything; modelSpec looks at it again.
  const rows = shapes[0][0];
  const common = rows <= rowsMax && shapes.every((shape) => shape[0] === rows);
  return { given: value, rows: common ? rows : null, shapes };
}

/** Dimensions of `"4x3x640"`; undefined if it is something else. */
export function parseDims(text: string): number[] | undefined {
  const parts = text.split("x");
  if (!parts.every((part) => DIGITS.test(part))) return undefined;
  const dims = parts.map(Number);
  return dims.every((dim) => dim <= DIM_MAX) ? dims : undefined;
}

/** Throws ConfigError unless every part of `min` is at most its counterpart in `max`. */
export function checkMinMax(min: Limit, max: Limit): void {
  const fail = (expected: string): never => {
    throw refuse("min", min.given, expected);
  };
  if (min.rows !== null && max.rows !== null && min.rows > max.rows)
    fail(`at most max, which is ${showRows(max.rows)}`);
  if (min.shapes === null) return;
  if (max.shapes === null) return fail("a number of rows, or max as full shapes too");
  const fits =
    min.shapes.length === max.shapes.length &&
    min.shapes.every((shape, k) => {
      const largest = max.shapes![k];
      return shape.length === largest.length && shape.every((dim, d) => dim <= largest[d]);
    });
  if (!fits) fail(`shapes that are at most max in every dimension, "${max.given}"`);
}

/** A number, or the number that a text of this form means. */
function toNumber(value: unknown, form: RegExp): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value + 0 : undefined;
  if (typeof value !== "string" || value.length > TEXT_MAX || !form.test(value)) return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** Runs code of the caller's: getters and the traps of proxies. */
export function guarded<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw refuse(field, undefined, "a value that can be read", { cause, hint: "reading it threw" });
  }
}
