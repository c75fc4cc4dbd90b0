/** Preloaded in Node: how often the main thread collected garbage, and marked its whole heap. */

import { PerformanceObserver, constants } from "node:perf_hooks";
import process from "node:process";
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  let [collections, marks] = [0, 0];
  new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries()) {
      collections++;
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) marks++;
    }
  }).observe({ entryTypes: ["gc"] });
  process.on("exit", () => process.stderr.write(`collected ${collections} times, marked ${marks}\n`));
}
