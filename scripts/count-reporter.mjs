/**
 * A vitest reporter that ends a run with one plain line, `N passed, N failed[, N skipped]`, which
 * scripts/test.mjs reads. A file that could not be run at all counts as one failure, so that a suite cannot
 * vanish unseen; a file that runs for long is named while it does, since one that hangs never ends.
 */

const LONG_MS = 60_000;

export default class CountReporter {
  #running = new Map();
  #timer = setInterval(() => this.#nameLong(), LONG_MS).unref();

  onTestModuleStart(module) {
    this.#running.set(module.relativeModuleId, performance.now());
  }

  onTestModuleEnd(module) {
    this.#running.delete(module.relativeModuleId);
  }

  onTestRunEnd(modules, errors) {
    clearInterval(this.#timer);
    const count = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      for (const state of states) count[state === "passed" || state === "failed" ? state : "skipped"] += 1;
      if (module.state() === "failed" && !states.includes("failed")) count.failed += 1;
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
    console.log(`${count.passed} passed, ${count.failed} failed${skipped}`);
  }

  #nameLong() {
    for (const [file, startMs] of this.#running) {
      const seconds = Math.round((performance.now() - startMs) / 1000);
      if (seconds * 1000 >= LONG_MS) console.log(`still running after ${seconds} s: ${file}`);
    }
  }
}
