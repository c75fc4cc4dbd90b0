/**
 * `npm run -s test:rtx`: builds engines with the real TensorRT for RTX, which needs no GPU for that. Takes
 * the libraries from its Python package, which pip downloads into .cache/ once (170 MB), and ends with
 * `N passed, N failed`.
 */

import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure, main, root, stepRun } from "./run.mjs";
import { setup } from "./setup.mjs";

const PACKAGE = "onnxruntime-ep-nv-tensorrt-rtx-cu12";
const VERSION = "0.5.0";
const folder = join(root, ".cache", "rtx", PACKAGE.replaceAll("-", "_").replace(/_cu12$/, ""));
const library = join(folder, "libtensorrt_rtx.so.1.7.1");
const host = join(root, "prebuilds", `${process.platform}-${process.arch}`, "trtpipe-host");

/** Thousandths, as the last build told them. */
let told = [];

await main(async (args) => {
  if (args.length > 0) throw new Failure(`Cannot use "${args.join(" ")}": expected no arguments`);
  await setup();
  await getLibraries();
  const made = await stepRun("making ResNet18", "npx", ["tsx", "examples/models/make.ts", "resnet18"]);
  const resnet = made.trim().split("\n").at(-1);
  const work = mkdtempSync(join(tmpdir(), "trtpipe-rtx-"));
  const count = { passed: 0, failed: 0 };
  const check = async (what, test) => {
    const wrong = await test();
    count[wrong === "" ? "passed" : "failed"] += 1;
    console.log(wrong === "" ? `ok: ${what}` : `FAILED: ${what}: ${wrong}`);
  };
  const plan = join(work, "plan");
  await check("ResNet18 becomes an engine, for batches of 1 to 4", async () => {
    const { status, output } = await build([`onnx=${resnet}`, `plan=${plan}`, "max=4"]);
    if (status !== 0) return output;
    return checkPlan(plan, 40e6);
  });
  await check("how far the build is was told, never falling, up to its end", () => {
    const rising = told.every((permille, i) => i === 0 || permille >= told[i - 1]);
    return rising && told.length > 5 && told.at(-1) === 1000 ? "" : `it said ${told.join(" ")}`;
  });
  await check("a build that is ended halfway leaves nothing", async () => {
    const given = join(work, "ended");
    const { status } = await build([`onnx=${resnet}`, `plan=${given}`, "max=4"], 300);
    const left = readdirSync(work).filter((name) => name.startsWith("ended"));
    return status === "SIGKILL" && left.length === 0 ? "" : `it ended with ${status}, and left ${left}`;
  });
  await check("and one of TF32, for full shapes", async () => {
    const options = ["precision=tf32", "max=8x3x224x224", "min=2x3x224x224", "optimization_level=1"];
    const { status, output } = await build([`onnx=${resnet}`, `plan=${plan}`, ...options]);
    return status === 0 ? checkPlan(plan, 40e6) : output;
  });
  await checkRefusals(check, resnet, work);
  await checkChangedGraphs(check, resnet, work);
  rmSync(work, { recursive: true });
  console.log(`${count.passed} passed, ${count.failed} failed`);
  return count.failed > 0 ? 1 : 0;
});

/** What the real parser and builder do not take, told so that a person can act on it. */
async function checkRefusals(check, resnet, work) {
  const plan = join(work, "plan");
  await check("half of a model is refused", () => {
    const broken = join(work, "broken.onnx");
    writeFileSync(broken, readFileSync(resnet).subarray(0, 5000));
    return refused([`onnx=${broken}`, `plan=${plan}`], /^-7 TensorRT refused the model: .*parse/i);
  });
  await check("an operator that does not exist is named, with its node", () => {
    const unknown = join(work, "unknown.onnx");
    writeFileSync(unknown, renamed(readFileSync(resnet), "MaxPool", "MaxPoul"));
    return refused(
      [`onnx=${unknown}`, `plan=${plan}`],
      /^-7 TensorRT refused the model: .*node \d+.*MaxPoul/,
    );
  });
  await check("a shape that the model does not have is refused", () =>
    refused(
      [`onnx=${resnet}`, `plan=${plan}`, "max=4x3x200x200"],
      /^-1 cannot use option "max": .*-1x3x224x224/,
    ),
  );
  await check("fp16 is refused, and the error says what to do", () =>
    refused([`onnx=${resnet}`, `plan=${plan}`, "precision=fp16"], /^-17 .*convert the model to float16/),
  );
}

/** What pipe() does to a model that is to compute in 16 bits, or that is given images. */
async function checkChangedGraphs(check, resnet, work) {
  const plan = join(work, "plan");
  const efficientnet = join(root, "examples", "data", "efficientnet_lite0.onnx");
  const magika = join(root, "examples", "data", "magika.onnx");
  const image = "uint8 NHWC pixels";
  for (const [what, name, from, bytesMin, bytesMax] of [
    ["fp16", "ResNet18", resnet, 20e6, 35e6],
    ["bf16", "ResNet18", resnet, 20e6, 35e6],
    ["fp16", "EfficientNet", efficientnet, 8e6, 25e6],
    ["fp16", "magika", magika, 1e6, 6e6],
    ["image", "ResNet18", resnet, 40e6, 70e6],
  ]) {
    await check(`${name} for ${what === "image" ? image : what} by changing its graph`, async () => {
      const changed = join(work, "changed.onnx");
      await stepRun(`changing ${name}`, "npx", ["tsx", "test/support/convert.ts", from, changed, what]);
      const { status, output } = await build([`onnx=${changed}`, `plan=${plan}`, "max=4"]);
      return status === 0 ? checkPlan(plan, bytesMin, bytesMax) : output;
    });
  }
}

async function getLibraries() {
  if (existsSync(library)) return;
  const wheels = join(root, ".cache", "wheel");
  mkdirSync(wheels, { recursive: true });
  const pip = ["-m", "pip", "download", "-q", "--no-deps", "-d", wheels, `${PACKAGE}==${VERSION}`];
  await stepRun(`downloading ${PACKAGE}`, "python3", pip);
  const wheel = join(wheels, `${PACKAGE.replaceAll("-", "_")}-${VERSION}-py3-none-manylinux_2_28_x86_64.whl`);
  await stepRun("unpacking it", "python3", ["-m", "zipfile", "-e", wheel, join(root, ".cache", "rtx")]);
}

/** A bar where somebody looks at it. */
function show(permille, stage) {
  if (process.stderr.isTTY !== true) return;
  const full = Math.round(permille / 50);
  process.stderr.write(`\r\u001B[K[${"#".repeat(full).padEnd(20, "-")}] ${stage}`);
  if (permille === 1000) process.stderr.write("\r\u001B[K");
}

/** Runs the building program as the library does, and kills it once it is `until` thousandths far. */
function build(options, until = Infinity) {
  told = [];
  return new Promise((resolve) => {
    const args = ["build", "device=none", `tensorrt=${library}`, "progress=3", ...options];
    const child = spawn(host, args, { stdio: ["pipe", "pipe", "pipe", "pipe"], timeout: 120_000 });
    let output = "";
    child.stdio[3].setEncoding("utf8").on("data", (text) => {
      for (const line of text.split("\n").filter(Boolean)) {
        told.push(Number.parseInt(line, 10));
        show(told.at(-1), line.slice(line.indexOf(" ") + 1));
      }
      if (told.at(-1) >= until) child.kill("SIGKILL");
    });
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    child.on("error", (error) => resolve({ status: 127, output: error.message }));
    child.on("close", (code, signal) => resolve({ status: code ?? signal, output }));
  });
}

/** What is wrong with a plan file; empty: nothing. */
function checkPlan(plan, bytesMin, bytesMax = Infinity) {
  const { size, mode } = statSync(plan);
  const magic = readFileSync(plan).subarray(0, 4).toString("latin1");
  if (size < bytesMin || size > bytesMax) return `it has ${size} bytes`;
  if ((mode & 0o777) !== 0o600) return `its mode is ${(mode & 0o777).toString(8)}`;
  return magic === "vtrt" ? "" : `it begins with ${JSON.stringify(magic)}`;
}

async function refused(options, expected) {
  const { status, output } = await build(options);
  const says = output.split("\ntrtpipe-host: ").at(-1);
  return status === 1 && expected.test(says) ? "" : `ended with ${status} and said ${JSON.stringify(says)}`;
}

/** The bytes with a word replaced by another of its length. */
function renamed(bytes, from, to) {
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(from); at >= 0; at = copy.indexOf(from, at + 1)) copy.write(to, at);
  return copy;
}
