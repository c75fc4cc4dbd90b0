/**
 * `npm run -s test:clients [-- --runtime node|bun|deno] [--kserve]`: the real clients of the Open Inference
 * Protocol against `trtpipe serve` in every runtime. They are Python packages, installed into a virtual
 * environment of their own. `--kserve` adds KServe's client, whose environment takes 564 MB.
 */

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, main, root, run, stepRun } from "./run.mjs";
import { fileCommand, runtimeNames, takeRuntime } from "./runtimes.mjs";
import { buildLibrary, setup } from "./setup.mjs";

const cache = join(root, ".cache", "clients");
const PACKAGES = [
  "tritonclient[http,grpc]==2.73.0",
  "aiohttp",
  "prometheus_client",
  "grpcio-tools",
  "ml_dtypes",
];
const KSERVE = ["kserve==0.21.0"];

await main(async (args) => {
  const [runtime, others] = takeRuntime(args);
  const kserve = others.includes("--kserve");
  const unknown = others.filter((arg) => arg !== "--kserve");
  if (unknown.length > 0)
    throw new Failure(`Cannot use "${unknown.join(" ")}": expected --runtime or --kserve`);
  await setup();
  await buildLibrary("fault");
  const python = await environment(
    kserve ? [...PACKAGES, ...KSERVE] : PACKAGES,
    kserve ? "kserve" : "triton",
  );
  const models = join(cache, "models");
  const [command, fileArgs] = fileCommand("node", join("test", "clients", "models.ts"), [models]);
  await stepRun("writing models", command, fileArgs);
  const total = { passed: 0, failed: 0 };
  for (const name of runtime === undefined ? runtimeNames : [runtime]) {
    const count = await runClients(name, python, join(models, "models.toml"), kserve);
    console.log(`clients against ${name}: ${count.passed} passed, ${count.failed} failed`);
    total.passed += count.passed;
    total.failed += count.failed;
  }
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});

/** A virtual environment with these packages; made anew when the list has changed. Returns its python. */
async function environment(packages, name) {
  const folder = join(cache, name);
  const python = join(folder, "bin", "python");
  const stamp = join(folder, "packages.txt");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === packages.join("\n")) return python;
  mkdirSync(cache, { recursive: true });
  await stepRun("making a Python environment", "python3", ["-m", "venv", folder]);
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...packages];
  await stepRun("installing the clients", python, install, { limitS: 600 });
  writeFileSync(stamp, packages.join("\n"));
  return python;
}

/** Starts a server in this runtime, and runs all clients against it. */
async function runClients(runtime, python, models, kserve) {
  const [command, flags] = fileCommand(runtime, join("dist", "cli.js"));
  const args = [...flags, "serve", models, "--port", "0", "--grpc-port", "0", "--json"];
  const library = join(root, "build", "fault", "libtrtpipe.so");
  const env = { ...process.env, TRTPIPE_LIB: library };
  const server = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  server.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  const ended = new Promise((resolve) => server.once("close", (code) => resolve(code)));
  try {
    const { http, grpc } = await addresses(server, ended, () => log);
    const flag = kserve ? ["--kserve"] : [];
    const client = [join("test", "clients", "client.py"), http.replace("http://", ""), grpc, ...flag];
    const { output, status } = await run(python, client, { limitS: 240 });
    process.stdout.write(output.replaceAll(/^ok .*\n/gm, ""));
    const passed = [...output.matchAll(/^ok /gm)].length;
    const failed = [...output.matchAll(/^FAILED /gm)].length;
    const names = await checkMetrics(http);
    server.kill("SIGTERM");
    const code = await ended;
    if (code !== 0) console.log(`The server ended with ${code}\n${log}`);
    const wrong = [names !== "", code !== 0, status !== 0 && failed === 0].filter(Boolean).length;
    return { passed, failed: failed + wrong };
  } finally {
    server.kill("SIGKILL");
  }
}

/** The line that the server prints when it is ready. */
function addresses(server, ended, log) {
  return new Promise((resolve, reject) => {
    let text = "";
    server.stdout.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      if (text.includes("\n")) resolve(JSON.parse(text));
    });
    void ended.then((code) => reject(new Failure(`The server ended with ${code}\n${log()}`)));
    setTimeout(() => reject(new Failure(`The server is not ready after 60 s\n${log()}`)), 60_000).unref();
  });
}

/** promtool knows Prometheus' naming rules; it is in Debian's package prometheus. Returns what is wrong. */
async function checkMetrics(http) {
  if ((await run("promtool", ["--version"])).status !== 0) {
    console.log("skipped promtool check metrics: it is not installed");
    return "";
  }
  const metrics = join(cache, "metrics.txt");
  writeFileSync(metrics, await (await fetch(`${http}/metrics`)).text());
  const { status, output } = await run("sh", ["-c", `promtool check metrics < '${metrics}'`]);
  if (status !== 0) console.log(`FAILED promtool check metrics: ${output}`);
  return status === 0 ? "" : output;
}
