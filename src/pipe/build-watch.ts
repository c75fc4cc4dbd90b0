/** Looks how far the building of an engine is, and ends it if asked to. On the owner's thread. */

import type { Native } from "../native/library.ts";

/** How far the building of an engine is. */
export interface BuildProgress {
  /**
   * 0 to 1, by TensorRT's own steps, which are not equally long. It never falls: where engines are built for
   * several devices one after the other, it is the furthest of them.
   */
  fraction: number;
  /** What is being done, in TensorRT's words. */
  stage: string;
  /** Since the load began. */
  elapsedMs: number;
}

const EVERY_MS = 100;

export class BuildWatch {
  /** The C library's handle, for the option `build`. */
  readonly handle: number;
  readonly #native: Native;
  readonly #onProgress: ((progress: BuildProgress) => void) | undefined;
  readonly #startMs = performance.now();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #last = "";

  constructor(native: Native, onProgress?: (progress: BuildProgress) => void) {
    this.#native = native;
    this.#onProgress = onProgress;
    this.handle = native.openBuild();
    this.#timer = onProgress === undefined ? undefined : setInterval(() => this.#look(), EVERY_MS);
  }

  /** True if a process was building and is ended. One that would begin later ends at once. */
  cancel(): boolean {
    return this.#native.cancelBuild(this.handle);
  }

  /** Tells what is left to tell, once. */
  end(): void {
    clearInterval(this.#timer);
    try {
      if (this.#onProgress !== undefined) this.#look();
    } finally {
      this.#native.closeBuild(this.handle);
    }
  }

  #look(): void {
    const { permille, stage } = this.#native.buildProgress(this.handle);
    const state = `${permille} ${stage}`;
    // Before a build begins there is nothing to tell, and an engine from the cache is not built.
    if (stage === "" || state === this.#last) return;
    this.#last = state;
    this.#onProgress?.({ fraction: permille / 1000, stage, elapsedMs: performance.now() - this.#startMs });
  }
}
