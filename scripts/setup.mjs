/**
 * Makes a checkout ready to run: packages, the C library, the built package. Does only what is missing or
 * stale, and is run by every other script; `npm run setup` runs it alone.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Failure, main, root, run, stepRun } from "./run.mjs";

const at = (...parts) => join(root, ...parts);

export async function setup() {
  await installPackages();
  await buildLibrary("release");
  await buildPackage();
}

/** `npm ci` if node_modules is not what the lock says. */
async function installPackages() {
  if (packagesFit()) return;
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith(".js") ? [process.execPath, [npm]] : ["npm", []];
  await stepRun("installing packages", command, [...first, "ci", "--no-progress"]);
  // Install scripts are off (.npmrc); these two only put the packages' own binaries in their places.
  await stepRun("preparing bun", process.execPath, ["install.js"], { cwd: at("node_modules", "bun") });
  await stepRun("preparing deno", process.execPath, ["install.cjs"], { cwd: at("node_modules", "deno") });
}

/**
 * Whether each package of the lock is installed in its version. What is optional may be missing: other
 * platforms.
 */
function packagesFit() {
  const installedLock = at("node_modules", ".package-lock.json");
  if (!existsSync(installedLock)) return false;
  const wanted = Object.entries(readJson(at("package-lock.json")).packages);
  const installed = readJson(installedLock).packages;
  return wanted.every(([path, { version, optional, devOptional, peer }]) => {
    if (path === "" || (installed[path] === undefined && (optional || devOptional || peer))) return true;
    return installed[path]?.version === version && existsSync(at(path));
  });
}

/** Configures if needed and builds: the build tool itself knows what is stale. */
export async function buildLibrary(preset) {
  await needTools();
  const folder = at("build", preset);
  if (configuredElsewhere(folder)) rmSync(folder, { recursive: true });
  if (!existsSync(join(folder, "Makefile"))) {
    await stepRun(`configuring the C library (${preset})`, "cmake", ["--preset", preset]);
  }
  const label = `building the C library (${preset})`;
  await stepRun(label, "cmake", ["--build", "--preset", preset, "--parallel", "2"]);
}

/** A CMake cache names the folder it was made for; a checkout may have been moved or copied since. */
function configuredElsewhere(folder) {
  const cache = join(folder, "CMakeCache.txt");
  if (!existsSync(cache)) return existsSync(folder);
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, "utf8"));
  return home?.[1] !== root;
}

const INSTALL = `
  Debian, Ubuntu:  sudo apt-get install cmake make gcc libc6-dev
  Fedora:          sudo dnf install cmake make gcc glibc-devel libasan libubsan libtsan
  macOS:           xcode-select --install, and cmake from https://cmake.org/download or Homebrew`;

async function needTools() {
  const works = async (command) => (await run(command, ["--version"])).status === 0;
  const cmake = await run("cmake", ["--version"]);
  const [major, minor] = (/version (\d+)\.(\d+)/.exec(cmake.output) ?? []).slice(1).map(Number);
  const missing = [];
  if (cmake.status !== 0) missing.push("CMake");
  else if (major < 3 || (major === 3 && minor < 20))
    missing.push(`CMake 3.20 or later (found ${major}.${minor})`);
  const compilers = [process.env.CC, "cc", "gcc", "clang"].filter(Boolean);
  const found = await Promise.all(compilers.map(works));
  if (!found.includes(true)) missing.push("a C compiler");
  if (missing.length === 0) return;
  throw new Failure(
    `Cannot build the C library: ${missing.join(" and ")} not found. Install with\n${INSTALL}`,
  );
}

/** Runs tsup if a source changed since it ran last, or if somebody else has built since. */
async function buildPackage() {
  const stamp = at("build", "package.stamp");
  const sources = hashOf(["src", "package.json", "tsconfig.json", "tsup.config.ts"]);
  const expected = () => `${sources} ${outputs.map((name) => mtimeMs(at("dist", name))).join(" ")}\n`;
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === expected()) return;
  await stepRun("building the package", process.execPath, [
    at("node_modules", "tsup", "dist", "cli-default.js"),
  ]);
  mkdirSync(at("build"), { recursive: true });
  writeFileSync(stamp, expected());
}

const outputs = ["index.js", "index.cjs", "index.d.ts", "index.d.cts", "worker.js", "worker.cjs", "cli.js"];

function mtimeMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? "missing";
}

/** One hash over the names and contents of files and folders. */
function hashOf(paths) {
  const hash = createHash("sha256");
  const files = paths.flatMap((path) => {
    if (!statSync(at(path)).isDirectory()) return [path];
    return readdirSync(at(path), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
      .toSorted();
  });
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(readFileSync(at(file)))
      .update("\0");
  return hash.digest("hex");
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main(setup);
