/** Where the C library may be: beside this package, or where a checkout builds it. */

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PACKAGE = "trtpipe";

/** File name of the library on this platform. */
export const LIBRARY_FILE: string = process.platform === "darwin" ? "libtrtpipe.dylib" : "libtrtpipe.so";

export interface Places {
  /** What chose these paths, as an error names it. */
  readonly source: string;
  readonly paths: readonly string[];
  /** What a person does when none of them works. */
  readonly fix: string;
}

/** A path that was asked for stands alone; without one (""), the package's own places are tried in order. */
export function libraryPlaces(explicit: string): Places {
  if (explicit !== "") {
    return {
      source: "the path given",
      paths: [explicit],
      fix: `give the path of a ${LIBRARY_FILE} that loads`,
    };
  }
  const named = environment("TRTPIPE_LIB");
  if (named) {
    const fix = `set TRTPIPE_LIB to a ${LIBRARY_FILE} that loads, or unset it to use the package's own`;
    return { source: "TRTPIPE_LIB", paths: [named], fix };
  }
  const root = packageRoot(fileURLToPath(import.meta.url));
  const prebuilt = join(root, "prebuilds", `${process.platform}-${process.arch}`, LIBRARY_FILE);
  const built = join(root, "build", "release", LIBRARY_FILE);
  return { source: "the package", paths: [prebuilt, built], fix: packageFix(root) };
}

function packageFix(root: string): string {
  const build = "cmake --preset release && cmake --build --preset release";
  if (!isMissing(join(root, "CMakePresets.json"))) return `run in ${root}: ${build}`;
  const byHand = `build it from its sources (${build}) and set TRTPIPE_LIB to the ${LIBRARY_FILE}`;
  return `install ${PACKAGE} again, or ${byHand}`;
}

/** An environment variable; undefined also where the runtime does not allow to read it. */
export function environment(name: string): string | undefined {
  try {
    return process.env[name];
  } catch {
    return undefined;
  }
}

/** Version of the koffi that is installed for this package. Throws if there is none. */
export function koffiVersion(): string {
  const entry = createRequire(import.meta.url).resolve("koffi");
  const folder = entry.slice(0, entry.lastIndexOf("koffi") + "koffi".length);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version?: string };
  return manifest.version ?? "unknown";
}

/** Whether the file is known to be missing: a runtime may not allow to look. */
export function isMissing(path: string): boolean {
  try {
    return !existsSync(path);
  } catch {
    return false;
  }
}

/**
 * The package that this code belongs to: the nearest one above the file, or, when a user's bundler has put
 * the code into a file of their own, the one that resolves from there.
 */
function packageRoot(file: string): string {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    if (packageName(folder) === PACKAGE) return folder;
  }
  try {
    return dirname(createRequire(file).resolve(`${PACKAGE}/package.json`));
  } catch {
    return dirname(dirname(file));
  }
}

function packageName(folder: string): unknown {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return (manifest as { name?: unknown }).name;
  } catch {
    return undefined;
  }
}
