/**
 * `npm run -s test:fake-gpu`: what can be tested of TensorRT and CUDA without a device, over the stand-ins of
 * csrc/test/fake: the C part under AddressSanitizer, in the three families, then the pipes in the
 * three runtimes. Ends with `N passed, N failed`.
 */

import { Failure, main, run, step } from "./run.mjs";
import { runtimeNames, testCommand } from "./runtimes.mjs";
import { buildLibrary, setup } from "./setup.mjs";

const LIMIT_S = 1200;
const SUITES = ["suite/tensorrt", "suite/build", "suite/doctor", "suite/inspect"];

await main(async (args) => {
  if (args.length > 0) throw new Failure(`Cannot use "${args.join(" ")}": expected no arguments`);
  await setup();
  await buildLibrary("fault");
  await buildLibrary("asan");
  const total = { passed: 0, failed: 0 };
  const ctest = ["ctest", ["--preset", "asan", "-R", "^tensorrt"]];
  await stage("C library, AddressSanitizer", ctest, total, countCtest);
  for (const runtime of runtimeNames) {
    await stage(`pipes in ${runtime}`, testCommand(runtime, SUITES), total, countVitest);
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});

async function stage(name, [command, args], total, count) {
  const { status, output } = await step(name, () => run(command, args, { limitS: LIMIT_S }));
  const { passed, failed } = count(output);
  // A run that ended without a count, or with a status that it does not explain, is a failure.
  const wrong = failed > 0 || passed === 0 || status !== 0;
  if (wrong) console.log(output.trimEnd());
  console.log(`${name}: ${passed} passed, ${failed} failed`);
  total.passed += passed;
  total.failed += wrong ? Math.max(failed, 1) : 0;
}

function countCtest(output) {
  const [, failed, all] = /(\d+) tests? failed out of (\d+)/.exec(output) ?? [];
  return { passed: Number(all ?? 0) - Number(failed ?? 0), failed: Number(failed ?? 0) };
}

function countVitest(output) {
  const [, passed, failed] = /^(\d+) passed, (\d+) failed/m.exec(output) ?? [];
  return { passed: Number(passed ?? 0), failed: Number(failed ?? 0) };
}
