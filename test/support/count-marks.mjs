/** Preloaded in Node: says at the end how often the main thread's whole heap was marked. */

import { PerformanceObserver, constants } from "node:perf_hooks";
import process from "node:process";
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  let marks = 0;
  new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries())
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) marks++;
  }).observe({ entryTypes: ["gc"] });
  process.on("exit", () => process.stderr.write(`marked ${marks} times\n`));
}
