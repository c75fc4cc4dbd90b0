/** What `trtpipe serve` is given: a model, a configuration in TOML, or a folder of either. */

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, resolve } from "node:path";
import { parse } from "smol-toml";
import { ConfigError } from "../index.ts";
import type { PipeConfig } from "../index.ts";

/** A version of a model, and the configuration of its pipe. */
export interface Source {
  name: string;
  version: string;
  config: PipeConfig;
}

const MODEL_FILES = ["model.onnx", "model.plan", "model.engine", "model.trt"];
const ENDINGS = [".onnx", ".plan", ".engine", ".trt"];
const VERSION = /^[1-9]\d{0,17}$/;

/**
 * Looks at `path` anew each time, so that what was put into a folder later is found. `defaults` hold for
 * every model, unless its own configuration says otherwise. `name` is that of the only model, in place of its
 * file's. Throws ConfigError.
 */
export function findSources(
  path: string,
  defaults: PipeConfig,
  versions: "latest" | "all",
  name?: string,
): Source[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new ConfigError("MODEL", path, "a model, a .toml file or a folder that exists");
  const found = stat.isDirectory() ? inFolder(path, versions) : ofFile(path);
  if (found.length === 0) {
    const expected = "a folder with NAME/1/model.onnx, *.onnx or *.toml in it";
    throw new ConfigError("MODEL", path, expected, { hint: "it has none of them" });
  }
  const seen = new Set<string>();
  for (const source of found) {
    const key = `${source.name}/${source.version}`;
    if (seen.has(key))
      throw new ConfigError("MODEL", path, `each model once`, { hint: `${key} comes twice` });
    seen.add(key);
  }
  const names = new Set(found.map((source) => source.name));
  if (name !== undefined && names.size > 1) {
    throw new ConfigError(
      "name",
      name,
      `one model, because ${[...names].join(", ")} have names of their own`,
    );
  }
  return found.map((source) => ({
    ...source,
    name: name ?? source.name,
    config: { ...defaults, ...source.config },
  }));
}

function ofFile(path: string): Source[] {
  if (extname(path) === ".toml") return ofTables(path);
  return [{ name: basename(path, extname(path)), version: "1", config: { model: resolve(path) } }];
}

function inFolder(folder: string, versions: "latest" | "all"): Source[] {
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => {
      const path = join(folder, name);
      if (statSync(path).isDirectory()) return ofModelFolder(path, name, versions);
      return [".toml", ...ENDINGS].includes(extname(name)) ? ofFile(path) : [];
    });
}

/** NAME/1/model.onnx, NAME/2/model.onnx, and maybe NAME/config.toml with keys for all of them. */
function ofModelFolder(folder: string, name: string, which: "latest" | "all"): Source[] {
  const versions = readdirSync(folder)
    .filter((entry) => VERSION.test(entry) && modelIn(join(folder, entry)) !== undefined)
    .toSorted((a, b) => Number(a) - Number(b));
  const path = join(folder, "config.toml");
  const config = existsSync(path) ? readConfig(path, readToml(path), folder) : {};
  const chosen = which === "all" ? versions : versions.slice(-1);
  return chosen.map((version) => ({
    name,
    version,
    config: { ...config, model: modelIn(join(folder, version))! },
  }));
}

function modelIn(folder: string): string | undefined {
  if (!statSync(folder).isDirectory()) return undefined;
  const file = MODEL_FILES.find((name) => existsSync(join(folder, name)));
  return file === undefined ? undefined : resolve(folder, file);
}

type Table = Readonly<Record<string, unknown>>;

/** One table per model, as TorchPipe writes it; what stands above the tables holds for all of them. */
function ofTables(path: string): Source[] {
  const document = readToml(path);
  const common = Object.entries(document).filter(([, value]) => !isTable(value));
  return Object.entries(document)
    .filter(([, value]) => isTable(value))
    .map(([name, value]) => {
      const { version = "1", ...keys } = { ...Object.fromEntries(common), ...(value as Table) };
      const text = String(version);
      if (!VERSION.test(text)) throw new ConfigError(`${name}.version`, version, "a whole number from 1");
      return { name, version: text, config: readConfig(`${name}.model`, keys, dirname(path)) };
    });
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function readToml(path: string): Table {
  try {
    return parse(readFileSync(path, "utf8"));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(basename(path), path, "a file in TOML", {
      cause: error,
      hint: why.split("\n", 1)[0],
    });
  }
}

const PATHS = ["model", "model::cache", "onnxruntime", "tensorrt"];

/** Paths are relative to the file that names them. `pipe()` checks everything else. */
function readConfig(field: string, keys: Table, folder: string): PipeConfig {
  const config: Record<string, unknown> = { ...keys };
  for (const key of PATHS) {
    const path = config[key];
    if (typeof path === "string" && path !== "" && !isAbsolute(path) && !path.includes("://")) {
      config[key] = resolve(folder, path);
    }
  }
  for (const key of ["log", "workerUrl"]) {
    if (key in config) throw new ConfigError(field, key, "keys that a file can hold");
  }
  return config as PipeConfig;
}
