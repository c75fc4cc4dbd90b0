/**
 * Opens the model with the first candidate that can run it. On an instance thread: an engine takes its time.
 */

import { ModelLoadError } from "../errors.ts";
import type { LoadStage } from "../errors.ts";
import { TP_ERR_LIBRARY, TP_ERR_OPEN, TP_ERR_TYPES, TP_ERR_UNSUPPORTED } from "../native/abi.ts";
import { NativeError } from "../native/library.ts";
import type { Native } from "../native/library.ts";
import type { EngineCandidate, EngineOptions, LoadedMessage, LoadMessage } from "../protocol.ts";
import { ModelSource } from "./model-source.ts";

export function loadModel(native: Native, message: LoadMessage): LoadedMessage {
  const source = new ModelSource(message);
  const name = message.path || "bytes";
  const reasons: string[] = [];
  for (const candidate of message.candidates) {
    const last = candidate === message.candidates.at(-1);
    try {
      const models = openAll(native, candidate, source);
      const description = native.describeModel(models[0]);
      const reason = reasons.join("; ");
      const { halves } = source;
      const { backend } = candidate;
      return { kind: "loaded", models, backend, reason, halves, description, library: native.path };
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      // Only what this machine lacks makes room for the next candidate: a broken model is broken for all of
      // them.
      if (last || error.status !== TP_ERR_UNSUPPORTED) throw loadError(name, candidate, error);
      reasons.push(`${candidate.backend}: ${error.message}`);
    }
  }
  throw new ModelLoadError(name, "library", `Cannot load ${name}: no backend was given`);
}

/** On every device, or on none. */
function openAll(native: Native, candidate: EngineCandidate, source: ModelSource): number[] {
  const { options, more, conversion } = candidate;
  const models: number[] = [];
  try {
    for (const one of [options, ...more]) models.push(open(native, one, conversion, source));
    return models;
  } catch (error) {
    for (const model of models) native.closeModel(model);
    throw error;
  }
}

function open(
  native: Native,
  options: EngineOptions,
  conversion: EngineCandidate["conversion"],
  source: ModelSource,
): number {
  const openWith = (given: EngineOptions, bytes: Uint8Array | null): number =>
    native.openModel(bytes === null ? given : given.filter(([key]) => key !== "path"), bytes ?? undefined);
  if (conversion?.when !== "asked") return openWith(options, source.bytes(conversion));
  try {
    return openWith(options, source.bytes(null));
  } catch (error) {
    if (!(error instanceof NativeError && error.status === TP_ERR_TYPES)) throw error;
    const others = options.filter(([key]) => key !== "precision");
    return openWith(others, source.bytes(conversion));
  }
}

function loadError(name: string, candidate: EngineCandidate, error: NativeError): ModelLoadError {
  const text = `Cannot load ${name} with ${candidate.backend}: ${error.message}`;
  return new ModelLoadError(name, stageOf(error.status), text, { cause: error });
}

function stageOf(status: number): LoadStage {
  if (status === TP_ERR_LIBRARY || status === TP_ERR_UNSUPPORTED) return "library";
  return status === TP_ERR_OPEN ? "open" : "parse";
}
