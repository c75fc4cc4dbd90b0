/**
 * `npm run -s test:page [-- --runtime node|bun|deno]`: the status page of `trtpipe serve` in a real browser
 * (Chromium), with two models and requests on their way. Screenshots are left in build/page.
 */

import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Browser, findBrowser } from "./page/browser.mjs";
import { Failure, main, root } from "./run.mjs";
import { fileCommand, runtimeNames, takeRuntime } from "./runtimes.mjs";
import { setup } from "./setup.mjs";

const shots = join(root, "build", "page");
const MAGIKA = join(root, "examples", "data", "magika.onnx");
const WILD = `</script><img src=x onerror="window.hurt=1">&amp; ${"long".repeat(30)}`;

/** What a person can read in each card. */
const READ = `[...document.querySelectorAll("article")].map((card) => ({
  title: card.querySelector("h2").textContent,
  state: card.querySelector(".state").textContent,
  what: card.querySelector("p").textContent,
  figures: Object.fromEntries([...card.querySelectorAll("dl div")].map((pair) =>
    [pair.firstChild.textContent, pair.lastChild.textContent])),
  answered: Number((/([\\d,]+) answered/.exec(card.textContent) ?? ["", "NaN"])[1].replaceAll(",", "")),
  bars: [...card.querySelectorAll(".bar")].map(({ firstChild, lastChild }) =>
    firstChild.textContent + ":" + lastChild.textContent),
}))`;

await main(async (args) => {
  const [runtime, unknown] = takeRuntime(args);
  if (unknown.length > 0) throw new Failure(`Cannot use "${unknown.join(" ")}": expected --runtime`);
  const { name, version } = await findBrowser();
  console.log(version);
  await setup();
  mkdirSync(shots, { recursive: true });
  const config = [`["magika"]`, `[${JSON.stringify(WILD)}]`].map((head) => `${head}\n${table()}`).join("\n");
  const models = join(shots, "models.toml");
  writeFileSync(models, config);
  let failed = 0;
  let passed = 0;
  for (const each of runtime === undefined ? runtimeNames : [runtime]) {
    const checks = await inRuntime(each, models, name);
    for (const [text, fault] of checks) {
      if (fault !== "") console.log(`FAILED in ${each}: ${text}: ${fault}`);
      if (fault === "") passed++;
      else failed++;
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
});

function table() {
  return `model = ${JSON.stringify(MAGIKA)}\ninstance_num = 2\nmax = 4\nbatching_timeout = 2\n`;
}

async function inRuntime(runtime, models, browserName) {
  const [command, flags] = fileCommand(runtime, join("dist", "cli.js"));
  const options = ["serve", models, "--port", "0", "--grpc-port", "off", "--json"];
  const server = spawn(command, [...flags, ...options], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const browser = new Browser(browserName);
  try {
    const url = await address(server);
    return await checkPage(browser, url, server, runtime);
  } finally {
    await browser.close();
    server.kill("SIGKILL");
  }
}

/** The line that the server prints when it is ready. */
function address(server) {
  return new Promise((resolve, reject) => {
    let text = "";
    let log = "";
    server.stderr.setEncoding("utf8").on("data", (chunk) => (log += chunk));
    server.stdout.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      if (text.includes("\n")) resolve(JSON.parse(text).http);
    });
    server.once("close", (code) => reject(new Failure(`The server ended with ${code}\n${log}`)));
    setTimeout(() => reject(new Failure(`The server is not ready after 60 s\n${log}`)), 60_000).unref();
  });
}

/** What happened in the page that must not. */
function watch(browser, url) {
  const faults = { console: [], hosts: [], asked: 0 };
  browser.onEvent = (method, params) => {
    if (method === "Runtime.exceptionThrown") faults.console.push(params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled") faults.console.push(`console.${params.type}`);
    // Also what the page's own policy kept from running.
    if (method === "Log.entryAdded" && !/net::ERR_CONNECTION_REFUSED/.test(params.entry.text))
      faults.console.push(params.entry.text);
    if (method !== "Network.requestWillBeSent") return;
    const asked = params.request.url;
    if (asked.startsWith(`${url}/`)) faults.asked++;
    else if (!asked.startsWith("data:")) faults.hosts.push(asked);
  };
  return faults;
}

async function checkPage(browser, url, server, runtime) {
  const checks = [];
  const check = (text, holds, got) => checks.push([text, holds ? "" : `got ${JSON.stringify(got)}`]);
  const faults = watch(browser, url);
  const page = await browser.open();
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await page("Runtime.evaluate", { expression, returnByValue: true });
    if (exceptionDetails) throw new Failure(`Cannot evaluate ${expression}: ${exceptionDetails.text}`);
    return result.value;
  };
  for (const domain of ["Page", "Runtime", "Network", "Log"]) await page(`${domain}.enable`);
  await page("Emulation.setDeviceMetricsOverride", {
    width: 1200, height: 900, deviceScaleFactor: 1, mobile: false,
  }); // prettier-ignore
  await page("Page.navigate", { url: `${url}/` });
  await waitFor(
    "two models",
    async () => (await evaluate("document.querySelectorAll('article').length")) === 2,
  );
  const still = await evaluate(READ);
  check(
    "it works while no request comes",
    still[0].figures["requests/s"] === "-" || still[0].answered === 0,
    still,
  );
  const driving = drive(url);
  await waitFor("numbers", async () => (await evaluate(READ))[0].answered > 20);
  const early = (await evaluate(READ))[0];
  await waitFor("more", async () => (await evaluate(READ))[0].answered > early.answered + 20);
  const [late, wild] = await evaluate(READ);
  driving.stop = true;
  const answered = await driving.done;
  check("it shows the model", late.title === "magika, version 1" && late.state === "READY", late);
  check("its backend", late.what.startsWith("OnnxTensor") && late.what.includes("2 instances ("), late.what);
  check("throughput", Number(late.figures["requests/s"].replaceAll(",", "")) > 0, late.figures);
  for (const name of ["latency p50", "latency p99", "queue, mean", "compute, mean"])
    check(name, /^(> )?[\d.,]+ (us|ms|s)$/.test(late.figures[name]), late.figures[name]);
  check(
    "batches by size",
    late.bars.length > 0 && late.bars.every((bar) => /^\d+:[\d,]+$/.test(bar)),
    late.bars,
  );
  check("a name as it is", wild.title === `${WILD}, version 1`, wild.title);
  check("no HTML from a name", await evaluate("window.hurt === undefined && !document.images.length"), wild);
  await waitFor("the end", async () => (await evaluate(READ))[0].answered === answered);
  const { asked } = faults;
  await waitFor("its next questions", () => faults.asked >= asked + 2);
  await checkLooks(page, evaluate, check, runtime);
  check("nothing on the console", faults.console.length === 0, faults.console);
  check("no other host", faults.hosts.length === 0, faults.hosts);
  server.kill("SIGKILL");
  const line = "document.getElementById('server').textContent";
  await waitFor("the server's end", async () => /does not answer/.test(await evaluate(line)));
  return checks;
}

/** Dark and light, wide and on a phone. */
async function checkLooks(page, evaluate, check, runtime) {
  const colors = [];
  for (const scheme of ["dark", "light"]) {
    await page("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    colors.push(await evaluate("getComputedStyle(document.body).backgroundColor"));
    await shoot(page, `${runtime}-${scheme}`);
  }
  check("dark and light", colors[0] !== colors[1], colors);
  await page("Emulation.setDeviceMetricsOverride", {
    width: 360, height: 780, deviceScaleFactor: 2, mobile: true,
  }); // prettier-ignore
  const width = await evaluate("document.documentElement.scrollWidth");
  check("on a phone", width <= 360, width);
  await shoot(page, `${runtime}-phone`);
}

async function shoot(page, name) {
  const { data } = await page("Page.captureScreenshot", { format: "png" });
  writeFileSync(join(shots, `${name}.png`), Buffer.from(data, "base64"));
}

/** Four clients that ask for `magika` until they are told to stop; `done` resolves with their answers. */
function drive(url) {
  const input = {
    name: "bytes",
    datatype: "INT32",
    shape: [1, 2048],
    data: Array.from({ length: 2048 }, () => 256),
  };
  const body = JSON.stringify({ inputs: [input] });
  const driving = { stop: false, done: null };
  let answered = 0;
  const client = async () => {
    while (!driving.stop) {
      const answer = await fetch(`${url}/v2/models/magika/infer`, { method: "POST", body });
      if (!answer.ok) throw new Failure(`The server answers ${answer.status}: ${await answer.text()}`);
      await answer.arrayBuffer();
      answered++;
    }
  };
  driving.done = Promise.all([1, 2, 3, 4].map(client)).then(() => answered);
  return driving;
}

async function waitFor(what, holds) {
  for (let i = 0; i < 300; i++) {
    if (await holds()) return;
    await sleep(100);
  }
  throw new Failure(`Cannot see ${what} in the page within 30 s`);
}
