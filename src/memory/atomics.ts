/**
 * Every control word is touched through `atomics`. Production uses the global Atomics; a test may put a
 * scheduler of its own in between, so that the code under test is the code that runs.
 */

export type Words = Int32Array<ArrayBufferLike>;

export interface AtomicWords {
  load(words: Words, index: number): number;
  store(words: Words, index: number, value: number): number;
  add(words: Words, index: number, value: number): number;
  or(words: Words, index: number, value: number): number;
  exchange(words: Words, index: number, value: number): number;
  compareExchange(words: Words, index: number, expected: number, value: number): number;
  /** Blocks while the word still holds `value`, at most `timeoutMs`. Not on a main thread. */
  wait(words: Words, index: number, value: number, timeoutMs?: number): "ok" | "not-equal" | "timed-out";
  waitAsync(
    words: Words,
    index: number,
    value: number,
  ): { async: false; value: "not-equal" | "timed-out" } | { async: true; value: Promise<"ok" | "timed-out"> };
  /**
   * Wakes every waiter on the word: a counted wake could be swallowed by a thread that was terminated while
   * it waited.
   */
  notify(words: Words, index: number): number;
}

export let atomics: AtomicWords = Atomics as unknown as AtomicWords;

/** Puts another implementation under this thread's control words; for tests. */
export function useAtomics(replacement: AtomicWords): void {
  atomics = replacement;
}
