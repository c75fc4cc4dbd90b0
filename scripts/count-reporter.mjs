/**
 * A vitest reporter that ends a run with one plain line, `N passed, N failed[, N skipped]`, which
 * scripts/test.mjs reads. A file that could not be run at all counts as one failure, so that a suite cannot
 * vanish unseen.
 */
export default class CountReporter {
  onTestRunEnd(modules, errors) {
    const count = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      for (const state of states) count[state === "passed" || state === "failed" ? state : "skipped"] += 1;
      if (module.state() === "failed" && !states.includes("failed")) count.failed += 1;
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
    console.log(`${count.passed} passed, ${count.failed} failed${skipped}`);
  }
}
