/** Servers in Python, from PyPI, each in a virtual environment of its own that is made once. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Package and version, as they were measured last. */
export const PYTHON_SERVERS = { mosec: "0.9.8", litserve: "0.2.19" } as const;
export type PythonServer = keyof typeof PYTHON_SERVERS;

const INSTALL_MS = 600_000;

function folderOf(name: PythonServer): string {
  return `.cache/bench-serve/${name}-${PYTHON_SERVERS[name]}`;
}

export function pythonOf(name: PythonServer): string {
  return `${folderOf(name)}/bin/python`;
}

/** Makes the environment if it is not there; the reason if that is not possible. */
export async function installPython(
  name: PythonServer,
  progress: (text: string) => void,
): Promise<string | undefined> {
  const engine = JSON.parse(await readFile("node_modules/onnxruntime-node/package.json", "utf8")) as {
    version: string;
  };
  const python = pythonOf(name);
  try {
    if (!existsSync(python)) {
      progress(
        `installing ${name} and onnxruntime ${engine.version} from PyPI into ${folderOf(name)} (once)`,
      );
      await run("python3", ["-m", "venv", folderOf(name)]);
      const packages = [`${name}==${PYTHON_SERVERS[name]}`, "numpy", `onnxruntime==${engine.version}`];
      await run(python, ["-m", "pip", "install", "-q", ...packages], { timeout: INSTALL_MS });
    }
    await run(python, ["-c", `import ${name}, onnxruntime, numpy`], { timeout: 60_000 });
    return undefined;
  } catch (error) {
    await rm(folderOf(name), { recursive: true, force: true });
    const lines = String((error as { stderr?: string }).stderr || (error as Error).message)
      .trim()
      .split("\n");
    return `${lines.find((line) => /error/i.test(line)) ?? lines.at(-1)}`.slice(0, 200);
  }
}
