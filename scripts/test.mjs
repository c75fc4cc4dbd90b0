/**
 * `npm test [-- --runtime node|bun|deno] [--only FILTER]`: sets up, runs every check and every test, and ends
 * with one line `N passed, N failed[, N skipped]` over all of them. A check counts as one test. `--runtime`
 * runs the suite in that runtime alone; `--only` runs the test files whose path contains FILTER, and no
 * checks.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure, main, root, run } from "./run.mjs";
import { runtimeNames, takeOption, takeRuntime, testCommand } from "./runtimes.mjs";
import { buildLibrary, setup } from "./setup.mjs";

const bin = (...path) => [process.execPath, join(root, "node_modules", ...path)];

const checks = {
  typecheck: [...bin("typescript", "bin", "tsc"), "--noEmit", "-p", "tsconfig.check.json"],
  lint: [...bin("oxlint", "bin", "oxlint"), "--deny-warnings"],
  format: [...bin("prettier", "bin", "prettier.cjs"), "--check", "--log-level", "warn", "."],
  "package (publint)": [...bin("publint", "src", "cli.js"), "--strict"],
};

await main(async (args) => {
  const [runtime, others] = takeRuntime(args);
  const [only, unknown] = takeOption(others, "only");
  if (unknown.length > 0)
    throw new Failure(`Cannot use "${unknown.join(" ")}": expected --runtime or --only`);
  await setup();
  // Tests of what goes wrong load this build of the library, which misbehaves on request.
  await buildLibrary("fault");
  const stages = only === undefined ? [...checkStages(), ...nativeStages()] : [];
  for (const name of runtime === undefined ? runtimeNames : [runtime]) stages.push(suiteStage(name, only));
  const total = { passed: 0, failed: 0, skipped: 0 };
  const failed = [];
  for (const stage of stages) {
    const count = await runStage(stage);
    for (const key of Object.keys(total)) total[key] += count[key];
    if (count.failed > 0) failed.push(stage.name);
  }
  if (failed.length > 0) console.log(`\nFailed: ${failed.join(", ")}`);
  console.log(inWords(total));
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});

async function runStage({ name, work }) {
  const startMs = performance.now();
  const { count, output } = await work();
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  if (count.failed > 0) console.log(output.trimEnd());
  console.log(`${name}: ${inWords(count)} (${seconds} s)`);
  return count;
}

function inWords({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

function checkStages() {
  return Object.entries(checks).map(([name, [command, ...args]]) => ({
    name,
    work: async () => {
      const { status, output } = await run(command, args);
      return { count: one(status === 0), output };
    },
  }));
}

function one(passed) {
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 };
}

/** The C library's own tests, under each sanitizer. */
function nativeStages() {
  return ["asan", "tsan"].map((preset) => ({
    name: `C tests (${preset})`,
    work: async () => {
      try {
        await buildLibrary(preset);
      } catch (error) {
        return { count: one(false), output: error.message };
      }
      return runCtest(preset);
    },
  }));
}

async function runCtest(preset) {
  const folder = mkdtempSync(join(tmpdir(), "trtpipe-ctest-"));
  const report = join(folder, "report.xml");
  const args = ["--preset", preset, "--parallel", "2", "--output-on-failure", "--output-junit", report];
  const { status, output } = await run("ctest", args, { limitS: 600 });
  const count = ctestCount(report);
  rmSync(folder, { recursive: true });
  if (count.passed + count.failed === 0 || (status !== 0 && count.failed === 0)) count.failed += 1;
  return { count, output };
}

function ctestCount(report) {
  let xml = "";
  try {
    xml = readFileSync(report, "utf8");
  } catch {
    // No report was written: nothing ran, which the caller counts as a failure.
  }
  const number = (name) => Number(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`).exec(xml)?.[1] ?? 0);
  const [tests, failed, skipped] = [
    number("tests"),
    number("failures"),
    number("skipped") + number("disabled"),
  ];
  return { passed: tests - failed - skipped, failed, skipped };
}

/**
 * The whole TypeScript suite in one runtime. TRTPIPE_TEST_RUNTIME lets it check that it really is that one.
 */
function suiteStage(runtime, only) {
  return {
    name: `suite in ${runtime}`,
    work: async () => {
      const [command, args] = testCommand(runtime, only === undefined ? [] : [only]);
      const env = { TRTPIPE_TEST_RUNTIME: runtime };
      const { status, output } = await run(command, args, { env, live: true, limitS: 600 });
      return { count: suiteCount(output, status), output: "" };
    },
  };
}

/** The line that scripts/count-reporter.mjs prints; a run that ends without it has failed. */
function suiteCount(output, status) {
  const line = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1);
  const [passed, failed, skipped] = (line ?? []).slice(1).map((text) => Number(text ?? 0));
  if (line === undefined) return one(false);
  return { passed, failed: status !== 0 && failed === 0 ? 1 : failed, skipped };
}
