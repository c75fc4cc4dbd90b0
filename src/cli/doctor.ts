/** `trtpipe doctor`: what this machine has, what is missing, and how to get it. */

import { FAILED, makeCommand, OK, type Command } from "./command.ts";
import { examine, type Report } from "./doctor-report.ts";
import { isMissing, type Found } from "./probe.ts";

export const command: Command = makeCommand({
  name: "doctor",
  about: "What this machine has, what is missing, and how to get it",
  args: {
    cpu: { type: "boolean", description: "look only at what it takes to run models on the CPU" },
  },
  examples: [
    ["", "status 0 if TensorRT runs here, else 1"],
    ["--cpu", "status 0 if ONNX Runtime runs models on the CPU here, else 1"],
    ["--json", "the same for a program"],
  ],
  run: async ({ cpu, json }, terminal) => {
    const report = await examine(cpu === true);
    terminal.out(json ? JSON.stringify(report, null, 2) : describe(report));
    return report.ok ? OK : FAILED;
  },
});

type Line = readonly [state: "ok" | "missing", what: string, text: string];

function describe(report: Report): string {
  const { can, advice, asked } = report;
  const width = Math.max(...lines(report).map(([, what]) => what.length));
  const found = lines(report).map(
    ([state, what, text]) => `${state.padEnd(7)}  ${what.padEnd(width)}  ${text}`,
  );
  const fixes = advice.map(({ missing, fix }) => `  ${missing}: ${fix}`);
  return [
    ...found,
    ...(fixes.length === 0 ? [] : ["", "How to get what is missing:", ...fixes]),
    "",
    `Models on the CPU with ONNX Runtime: ${can.runOnCpu ? "yes" : "no"}`,
    ...(asked === "cpu" ? [] : gpuVerdict(can)),
  ].join("\n");
}

function gpuVerdict({ runOnGpu, buildEngines, runOnCpu }: Report["can"]): string[] {
  const hint = !runOnGpu && runOnCpu ? " (trtpipe doctor --cpu asks for the CPU alone)" : "";
  return [
    `Models on the GPU with TensorRT: ${runOnGpu ? "yes" : "no"}${hint}`,
    ...(runOnGpu ? [`Engines can be built here: ${buildEngines ? "yes" : "no"}`] : []),
  ];
}

function lines(report: Report): Line[] {
  const { library, koffi, host, onnxruntime, driver, cuda, tensorrt, builderResource } = report;
  const all: readonly Line[][] = [
    line("trtpipe", library, ({ path, version, binding, runtime }) =>
      [`${version} (${path})`, `${runtime}, ${report.platform}, through ${binding}`].join("; "),
    ),
    line("koffi", koffi, ({ version }) => version),
    line("host program", host, ({ path }) => path),
    line("ONNX Runtime", onnxruntime, ({ path, version }) => `${version} (${path})`),
    line("NVIDIA driver", driver, ({ version }) => version),
    line("CUDA", cuda, ({ path, version }) => `${version} (${path})`),
    ...(cuda === null || isMissing(cuda) ? [] : cuda.devices).map((device, i) =>
      line(`device ${i}`, device, ({ name, computeCapability, uuid }) =>
        [name, `compute capability ${computeCapability}`, uuid].join(", "),
      ),
    ),
    line(
      "TensorRT",
      tensorrt,
      ({ path, version, slotTable }) => `${version} (${path}), table of ${slotTable}`,
    ),
    tensorrt === null || isMissing(tensorrt) ? [] : inside(tensorrt),
    line("builder resource", builderResource, ({ paths }) => paths.join(", ")),
  ];
  return all.flat();
}

function inside({ parser, runtime }: Exclude<NonNullable<Report["tensorrt"]>, { missing: string }>): Line[] {
  return [
    ...line("ONNX parser", parser, ({ path }) => path),
    ...line("its runtime", runtime, ({ device }) => `starts on ${device}`),
  ];
}

/** No line for what was not looked for. */
function line<T extends object>(what: string, found: Found<T> | null, show: (found: T) => string): Line[] {
  if (found === null) return [];
  return [isMissing(found) ? ["missing", what, found.missing] : ["ok", what, show(found)]];
}
