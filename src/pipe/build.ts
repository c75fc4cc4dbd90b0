/** `build(config)`: makes the engine of a model, and tells meanwhile how far it is. */

import { pipe } from "./pipe.ts";
import type { BuildProgress } from "./build-watch.ts";
import type { PipeConfig } from "./types.ts";

/**
 * Builds the engine into `model::cache`, if it is not there yet, and opens it once, to know that it works.
 * Yields how far it is, whenever there is something new and the reader is ready for it; ends when the engine
 * is there. Throws what `pipe()` rejects with. To leave the loop early, or to abort `signal`, gives the build
 * up: nothing of it stays.
 */
export async function* build(
  config: PipeConfig,
  options: { signal?: AbortSignal } = {},
): AsyncGenerator<BuildProgress, void, void> {
  const left = new AbortController();
  const signals = options.signal === undefined ? [left.signal] : [options.signal, left.signal];
  const state = { newest: null as BuildProgress | null, finished: false, wake: (): void => {} };
  const onProgress = (progress: BuildProgress): void => {
    state.newest = progress;
    state.wake();
  };
  const done = pipe(config, { signal: AbortSignal.any(signals), onProgress })
    .then((models) => models.close())
    .finally(() => {
      state.finished = true;
      state.wake();
    });
  // Told to the reader below, also where it left before.
  done.catch(() => {});
  try {
    while (!state.finished || state.newest !== null) {
      const progress = state.newest;
      state.newest = null;
      if (progress !== null) yield progress;
      else await new Promise<void>((resolve) => (state.wake = resolve));
    }
    await done;
  } finally {
    if (!state.finished) left.abort(new DOMException("The build was given up", "AbortError"));
    await done.catch(() => {});
  }
}
