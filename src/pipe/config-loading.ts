/** The keys that say how a model is loaded. */

import { readChoice, readInteger, readSwitch, readText } from "./config-values.ts";
import type { ParsedConfig, ReadValue } from "./config.ts";
import type { PipeConfig } from "./types.ts";

/** All but which model it is, and with what. */
export type Loading = Pick<
  ParsedConfig,
  "intraOpThreads" | "session" | "warmUp" | "selfCheck" | "onnxruntime"
>;

export function readLoading(read: ReadValue, absent: Loading): Loading {
  const integer = (key: keyof PipeConfig, low: number, high: number, otherwise: number): number =>
    read(key, (field, value) => readInteger(field, value, low, high), otherwise);
  return {
    intraOpThreads: integer("intra_op_threads", 1, 1024, absent.intraOpThreads),
    session: read("session", (field, value) => readChoice(field, value, ["shared", "own"]), absent.session),
    warmUp: integer("warm_up", 0, 1000, absent.warmUp),
    selfCheck: read("self_check", readSwitch, absent.selfCheck),
    onnxruntime: read("onnxruntime", (field, value) => readText(field, value, "a path"), absent.onnxruntime),
  };
}
