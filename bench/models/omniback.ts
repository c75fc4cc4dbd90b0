/** TorchPipe's own scheduler, from PyPI, in a virtual environment of the bench's own. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { promisify } from "node:util";
import type { Command } from "../lib/run-child.ts";
import { DATA, INPUTS, TOLERANCE } from "./data.ts";
import type { ModelDescription } from "./data.ts";
import type { ModelsSpec } from "./target.ts";

const run = promisify(execFile);

const VENV = ".cache/bench-venv";
const PYTHON = `${VENV}/bin/python`;

/** Makes the environment if it is not there; the reason if that is not possible. */
export async function installOmniback(progress: (text: string) => void): Promise<string | undefined> {
  const engine = JSON.parse(await readFile("node_modules/onnxruntime-node/package.json", "utf8")) as {
    version: string;
  };
  try {
    if (!existsSync(PYTHON)) {
      progress(`installing omniback and onnxruntime ${engine.version} from PyPI into ${VENV} (once)`);
      await run("python3", ["-m", "venv", VENV]);
      await run(PYTHON, [
        "-m",
        "pip",
        "install",
        "-q",
        "omniback",
        "numpy",
        `onnxruntime==${engine.version}`,
      ]);
    }
    await run(PYTHON, ["-c", "import omniback, onnxruntime, numpy"]);
    return undefined;
  } catch (error) {
    await rm(VENV, { recursive: true, force: true });
    const lines = String((error as { stderr?: string }).stderr || (error as Error).message)
      .trim()
      .split("\n");
    return `${lines.find((line) => /error/i.test(line)) ?? lines.at(-1)}`.slice(0, 200);
  }
}

export async function omnibackVersion(): Promise<string> {
  const code = "from importlib.metadata import version; print(version('omniback'), version('onnxruntime'))";
  const { stdout } = await run(PYTHON, ["-c", code]);
  const [omniback, engine] = stdout.trim().split(" ");
  return `omniback ${omniback} with onnxruntime ${engine} (Python)`;
}

export function omnibackCommand(description: ModelDescription, spec: ModelsSpec, timeoutMs: number): Command {
  const { clients, warmUpMs, measureMs, settings } = spec;
  const fixed = { data: DATA, items: INPUTS, tolerance: TOLERANCE };
  const task = { description, ...fixed, clients, warmUpMs, measureMs, ...settings };
  return { file: PYTHON, args: ["bench/python/omni.py", JSON.stringify(task)], timeoutMs };
}
