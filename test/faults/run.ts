/** Runs the tests that a catalogue names, in each runtime, and says of each what became of it. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../tidy/sources.ts";

export type State = "passed" | "failed" | "skipped" | "missing";
/** What became of each proof, by its name. */
export type Outcomes = ReadonlyMap<string, State>;

interface Scripts {
  run(
    command: string,
    args: readonly string[],
    options?: object,
  ): Promise<{ status: number; output: string }>;
  testCommand(runtime: string, args: readonly string[]): [string, string[]];
  buildLibrary(preset: string): Promise<void>;
}

/** The scripts are plain JavaScript, which TypeScript does not look into. */
async function load(name: string): Promise<Scripts> {
  return (await import(join(root, "scripts", name))) as Scripts;
}

const LIMIT_S = 540;
const C = "C: ";

/** One test of a report, with the titles of its suites. */
interface Told {
  titles: readonly string[];
  state: State;
}

export async function runSuite(runtime: string, proofs: readonly string[]): Promise<Outcomes> {
  const { run } = await load("run.mjs");
  const { testCommand } = await load("runtimes.mjs");
  const wanted = proofs.filter((proof) => !proof.startsWith(C));
  const files = [...new Set(wanted.map((proof) => `test/${fileOf(proof)}.test.ts`))];
  const folder = mkdtempSync(join(tmpdir(), "trtpipe-faults-"));
  const report = join(folder, "report.json");
  const names = wanted.map((proof) => pattern(proof.split(" > ").slice(1).join(" ")).source);
  const args = [...files, "-t", names.join("|"), "--reporter=json", `--outputFile=${report}`];
  const [command, all] = testCommand(runtime, args);
  await run(command, all, { env: { TRTPIPE_TEST_RUNTIME: runtime }, limitS: LIMIT_S });
  const told = readReport(report);
  rmSync(folder, { recursive: true });
  return new Map(wanted.map((proof) => [proof, stateOf(told.filter((one) => isOf(proof, one)))]));
}

export async function runNative(proofs: readonly string[]): Promise<Outcomes> {
  const { run } = await load("run.mjs");
  const { buildLibrary } = await load("setup.mjs");
  const wanted = [...new Set(proofs.filter((proof) => proof.startsWith(C)))];
  if (wanted.length === 0) return new Map();
  await buildLibrary("asan");
  const names = wanted.map((proof) => proof.slice(C.length));
  const filter = `^(${names.join("|")})(_trt10|_trt11|_rtx)?$`;
  const args = ["--preset", "asan", "--parallel", "2", "--tests-regex", filter];
  const { output } = await run("ctest", args, { limitS: LIMIT_S });
  const lines = [...output.matchAll(/Test\s+#\d+: (\w+) \.*\s*(Passed|\*+\w+)/g)];
  const told = lines.map(([, name, word]) => ({
    titles: [name.replace(/_(trt10|trt11|rtx)$/, "")],
    state: word === "Passed" ? "passed" : word === "***Skipped" ? "skipped" : "failed",
  })) satisfies Told[];
  return new Map(
    wanted.map((proof) => [proof, stateOf(told.filter(({ titles }) => titles[0] === proof.slice(C.length)))]),
  );
}

/** A proof is as good as the worst of the tests that go by its name; one without any is missing. */
export function stateOf(told: readonly Told[]): State {
  const order: readonly State[] = ["failed", "missing", "skipped", "passed"];
  return order.find((state) => told.some((one) => one.state === state)) ?? "missing";
}

function fileOf(proof: string): string {
  return proof.split(" > ")[0];
}

/** Whether a test of a report is one that the proof names, and of its file. */
export function isOf(proof: string, { titles }: Told): boolean {
  const expected = proof.split(" > ");
  return expected.length === titles.length && expected.every((one, i) => pattern(one).test(titles[i]));
}

/** A title with what vitest fills in: `%s`, `$name`. */
function pattern(title: string): RegExp {
  const escaped = title.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll(/%[sdijfo#]|\\\$\w+/g, "[^]*")}$`);
}

interface Report {
  testResults: readonly {
    name: string;
    assertionResults: readonly { ancestorTitles: readonly string[]; title: string; status: string }[];
  }[];
}

/** Nothing at all if there is no report: then every proof is missing. */
function readReport(path: string): Told[] {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(path, "utf8")) as Report;
  } catch {
    return [];
  }
  return report.testResults.flatMap(({ name, assertionResults }) => {
    const file = name.slice(name.lastIndexOf("/test/") + "/test/".length).replace(/\.test\.ts$/, "");
    return assertionResults.map(({ ancestorTitles, title, status }) => ({
      titles: [file, ...ancestorTitles, title],
      state: status === "passed" || status === "failed" ? status : ("skipped" as const),
    }));
  });
}
