/** Opens a model on the backend that was asked for, or says why it cannot and opens it on the CPU. */

import { ModelLoadError, pipe } from "trtpipe";
import type { Pipe, PipeConfig } from "trtpipe";

export const CPU_BACKEND = "SyncTensor[OnnxTensor]";

export interface Opened {
  models: Pipe;
  /** Why the backend of the configuration does not run here; null where it does. */
  fallback: string | null;
}

export async function openWithFallback(config: PipeConfig): Promise<Opened> {
  try {
    return { models: await pipe(config), fallback: null };
  } catch (error) {
    if (!(error instanceof ModelLoadError) || config.backend === CPU_BACKEND) throw error;
    const models = await pipe({ ...config, backend: CPU_BACKEND });
    return { models, fallback: reasonOf(error) };
  }
}

/** The engine's own text in one line, without the list of everything that was tried. */
function reasonOf(error: ModelLoadError): string {
  const { message } = error.cause instanceof Error ? error.cause : error;
  let text = message.replaceAll(/\s+/g, " ").replace(/^cannot run TensorRT( on this machine)?: /, "");
  for (let shorter = ""; shorter !== text;) {
    shorter = text;
    text = text.replace(/ \(tried [^()]*(?:\([^()]*\)[^()]*)*\)/, "");
  }
  return text;
}
