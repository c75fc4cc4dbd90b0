/**
 * `npm run -s verify:slots [-- --verbose]`: holds the table of TensorRT's slots (csrc/tensorrt_api.h) against
 * real libraries, without running them. Two witnesses for each entry: the slot that a C++ compiler took from
 * TensorRT's own headers, read out of the Java bindings, and the tables of virtual functions in the library,
 * whose functions carry their names. Libraries and bindings come from Maven, once, into .cache/ (1.6 GB stay
 * there, 3 GB are downloaded); TensorRT for RTX is looked at if `npm run test:rtx` has fetched it. Ends with
 * `N passed, N failed`.
 */

import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Failure, main, root, run, step, stepRun } from "./run.mjs";
import { weigh } from "./slots/evidence.mjs";
import { slotsOfGlue } from "./slots/glue.mjs";
import { readTable } from "./slots/table.mjs";
import { Library } from "./slots/vtables.mjs";

const MAVEN_GET = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get";
const cache = (...parts) => join(root, ".cache", "tensorrt", ...parts);

const releases = [
  { name: "TensorRT 10.6", version: "10.6-1.5.11", family: 10 },
  { name: "TensorRT 10.15", version: "10.15-1.5.13", family: 10 },
  { name: "TensorRT 11.2", version: "11.2-1.5.14", family: 11 },
];

const rtx = join(root, ".cache", "rtx", "onnxruntime_ep_nv_tensorrt_rtx");

await main(async (args) => {
  const verbose = args.includes("--verbose");
  const unknown = args.filter((arg) => arg !== "--verbose");
  if (unknown.length > 0) throw new Failure(`Cannot use "${unknown.join(" ")}": expected --verbose`);
  const count = { passed: 0, failed: 0, skipped: 0 };
  const table = readTable();
  for (const release of releases) tell(release.name, await verify(release, table), verbose, count);
  if (existsSync(join(rtx, "libtensorrt_rtx.so.1.7.1"))) {
    tell(
      "TensorRT for RTX 1.7",
      await step("reading TensorRT for RTX", () => verifyRtx(table)),
      verbose,
      count,
    );
  }
  const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
  console.log(`${count.passed} passed, ${count.failed} failed${skipped}`);
  return count.failed > 0 ? 1 : 0;
});

function tell(name, verdicts, verbose, count) {
  const confirmed = verdicts.filter(({ verdict }) => verdict === "confirmed");
  const others = verdicts.filter(({ verdict }) => verdict !== "confirmed");
  const naming = confirmed.filter(({ why }) => why.includes("names itself"));
  console.log(
    `${name}: ${confirmed.length} of ${verdicts.length} confirmed, ${naming.length} by their own names too`,
  );
  for (const { id, slot, verdict, why } of verbose ? verdicts : others) {
    console.log(`  ${verdict}: ${id}, slot ${slot}: ${why}`);
  }
  count.passed += confirmed.length;
  count.skipped += others.filter(({ verdict }) => verdict === "untold").length;
  count.failed += others.filter(({ verdict }) => verdict !== "untold").length;
}

async function verify({ name, version, family }, table) {
  const folder = cache(version);
  const file = (library) => join(folder, `${library}.so.${family}`);
  await unpack(version, "linux-x86_64", folder, ["libjninvinfer.so", "libjninvonnxparser.so"]);
  await unpack(version, "linux-x86_64-redist", folder, [
    `libnvinfer.so.${family}`,
    `libnvonnxparser.so.${family}`,
  ]);
  return step(`reading ${name}`, () => {
    const minor = Number(/^\d+\.(\d+)/.exec(version)[1]);
    const rows = table.map(({ id, ...families }) => {
      const [slot, first] = families[family];
      return { id, slot: minor >= first ? slot : -1 };
    });
    const glue = new Map([
      ...slotsOfGlue(join(folder, "libjninvinfer.so"), "nvinfer"),
      ...slotsOfGlue(join(folder, "libjninvonnxparser.so"), "nvonnxparser"),
    ]);
    return weigh(rows, glue, new Library(file("libnvinfer")), new Library(file("libnvonnxparser")));
  });
}

/** No bindings know TensorRT for RTX; its order is that of 11, but for what the table says. */
function verifyRtx(table) {
  const rows = table.map(({ id, rtx: [slot], 11: [like] }) => ({ id, slot, like }));
  const [library, parser] = ["libtensorrt_rtx.so.1.7.1", "libtensorrt_onnxparser_rtx.so.1.7.1"];
  return weigh(rows, null, new Library(join(rtx, library)), new Library(join(rtx, parser)));
}

/** Files out of one of the package's archives. The archive, mostly of what nobody needs, is removed. */
async function unpack(version, classifier, folder, wanted) {
  if (wanted.every((name) => existsSync(join(folder, name)))) return;
  mkdirSync(folder, { recursive: true });
  await need("mvn", "Debian, Ubuntu: sudo apt-get install maven");
  const repository = cache("maven");
  const artifact = `org.bytedeco:tensorrt:${version}:jar:${classifier}`;
  const get = ["-q", "-B", MAVEN_GET, `-Dartifact=${artifact}`, "-Dtransitive=false"];
  await stepRun(`downloading ${artifact}`, "mvn", [...get, `-Dmaven.repo.local=${repository}`]);
  const at = join(
    repository,
    "org",
    "bytedeco",
    "tensorrt",
    version,
    `tensorrt-${version}-${classifier}.jar`,
  );
  const only = `import sys, zipfile, os, shutil
with zipfile.ZipFile(sys.argv[1]) as jar:
    for name in jar.namelist():
        if os.path.basename(name) in sys.argv[3:]:
            to = os.path.join(sys.argv[2], os.path.basename(name))
            with jar.open(name) as source, open(to, "wb") as to:
                shutil.copyfileobj(source, to, 1 << 20)`;
  await stepRun(`unpacking ${classifier} ${version}`, "python3", ["-c", only, at, folder, ...wanted]);
  rmSync(at);
  const missing = wanted.filter((name) => !existsSync(join(folder, name)));
  if (missing.length > 0) throw new Failure(`Cannot find ${missing.join(", ")} in ${artifact}`);
}

async function need(program, install) {
  if ((await run(program, ["--version"])).status === 0) return;
  throw new Failure(`Cannot download TensorRT: ${program} not found. ${install}`);
}
