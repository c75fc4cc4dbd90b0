/**
 * `npm run -s test:deploy`: what deploy/ promises, as far as one machine can show it. The manifests fit their
 * schemas; and behind HAProxy, no request fails while every server is restarted, or while one is killed. Ends
 * with `N passed, N failed`.
 */

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Clients, freePorts, Server, startBalancer } from "./deploy/fleet.mjs";
import { Failure, main, root, run, stepRun } from "./run.mjs";
import { setup } from "./setup.mjs";

const venv = join(root, ".cache", "deploy");
const model = join(root, "examples", "data", "magika.onnx");
const CLIENTS = 10;

await main(async (args) => {
  if (args.length > 0) throw new Failure(`Cannot use "${args.join(" ")}": expected no arguments`);
  await setup();
  const python = await getValidator();
  if ((await run("haproxy", ["-v"])).status !== 0) {
    throw new Failure("HAProxy not found. Debian, Ubuntu: sudo apt-get install haproxy");
  }
  const count = { passed: 0, failed: 0 };
  const check = (what, wrong) => {
    count[wrong === "" ? "passed" : "failed"] += 1;
    console.log(wrong === "" ? `ok: ${what}` : `FAILED: ${what}: ${wrong}`);
  };
  await checkManifests(python, check);
  await checkFleet(check);
  console.log(`${count.passed} passed, ${count.failed} failed`);
  return count.failed > 0 ? 1 : 0;
});

async function getValidator() {
  const python = join(venv, "bin", "python");
  if (existsSync(join(venv, "complete"))) return python;
  rmSync(venv, { recursive: true, force: true });
  await stepRun("making a Python environment", "python3", ["-m", "venv", venv]);
  const pip = ["-m", "pip", "install", "-q"];
  await stepRun("installing the schemas", python, [...pip, "kubernetes-validate==1.37.0"]);
  await stepRun("installing KServe's types", python, [...pip, "--no-deps", "kserve==0.21.0"]);
  writeFileSync(join(venv, "complete"), "");
  return python;
}

/** The manifests as they are, and each of three copies with one word wrong. */
async function checkManifests(python, check) {
  const validate = (folder) => run(python, [join(root, "deploy", "validate.py"), folder]);
  const { status, output } = await validate(join(root, "deploy"));
  check("the manifests fit the schemas of Kubernetes and KServe", status === 0 ? "" : output);
  for (const [file, right, wrong] of [
    ["kubernetes/trtpipe.yaml", "failureThreshold: 450", "failureTreshold: 450"],
    ["kserve/servingruntime.yaml", "supportedModelFormats", "supportedFormats"],
    ["kserve/inferenceservice.yaml", "maxReplicas: 10", 'maxReplicas: "ten"'],
  ]) {
    const copy = mkdtempSync(join(tmpdir(), "trtpipe-deploy-"));
    cpSync(join(root, "deploy"), copy, { recursive: true });
    const text = readFileSync(join(copy, file), "utf8");
    writeFileSync(join(copy, file), text.replace(right, wrong));
    const broken = await validate(copy);
    rmSync(copy, { recursive: true });
    const named = wrong.split(":")[0];
    const caught = text.includes(right) && broken.status === 1 && broken.output.includes(named);
    check(`${wrong} in ${file} is found`, caught ? "" : broken.output);
  }
}

async function checkFleet(check) {
  const [address, ...ports] = await freePorts(4);
  const servers = ports.map((port) => new Server(model, port));
  const ends = [];
  try {
    await Promise.all(servers.map((server) => server.start()));
    ends.push(await startBalancer(address, ports));
    const clients = new Clients(address, CLIENTS);
    await clients.begin();
    await sleep(2000);
    check("three servers answer behind HAProxy", clients.report({ answered: 20, failed: 0 }));

    for (const server of servers) {
      const { code, seconds } = await server.stop();
      check(
        `a server that is asked to end exits with 0 (${seconds.toFixed(1)} s)`,
        code === 0 ? "" : `${code}`,
      );
      await server.start();
      await sleep(500);
    }
    check("a rolling restart fails no request", clients.report({ answered: 50, failed: 0 }));

    await servers[1].kill();
    await sleep(2000);
    check("a killed server fails no request: others take them", clients.report({ answered: 20, failed: 0 }));
    await clients.end();
    check("the last requests are answered too", clients.report({ answered: 0, failed: 0 }));
  } finally {
    for (const end of ends) await end();
    await Promise.all(servers.map((server) => server.stop()));
  }
}
