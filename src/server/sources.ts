/** What `trtpipe serve` is given: a model, a configuration in TOML, or a folder of either. */

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, resolve } from "node:path";
import { TomlError, parse } from "smol-toml";
import { ConfigError } from "../index.ts";
import type { PipeConfig } from "../index.ts";
import { parseConfig } from "../internal.ts";

/** A version of a model, and the configuration of its pipe. */
export interface Source {
  name: string;
  version: string;
  config: PipeConfig;
  /** Why it cannot be loaded, where its files say so already. It keeps no other from being served. */
  error?: ConfigError;
}

const MODEL_FILES = ["model.onnx", "model.plan", "model.engine", "model.trt"];
const ENDINGS = [".onnx", ".plan", ".engine", ".trt"];
const VERSION = /^[1-9]\d{0,17}$/;
/** What tools and file systems leave in a folder: no models. */
const OTHERS = /^\.|^lost\+found$/;

/**
 * Looks at `path` anew each time, so that what was put into a folder later is found. `defaults` hold for
 * every model, unless its own configuration says otherwise. `name` is that of the only model, in place of its
 * file's. Throws ConfigError where nothing at all can be served.
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
    throw stat.isDirectory()
      ? new ConfigError("MODEL", path, "a folder with NAME/1/model.onnx, *.onnx or *.toml in it", {
          hint: "it has none of them",
        })
      : new ConfigError("MODEL", path, TABLES, { hint: "it has no table" });
  }
  const names = new Set(found.map((source) => source.name));
  if (name !== undefined && names.size > 1) {
    throw new ConfigError(
      "name",
      name,
      `one model, because ${[...names].join(", ")} have names of their own`,
    );
  }
  const seen = new Set<string>();
  return found.map((source) => {
    const whole = { ...source, name: name ?? source.name, config: { ...defaults, ...source.config } };
    const error = source.error ?? twice(source, seen, path) ?? wrongIn(source, defaults);
    return error === undefined ? whole : { ...whole, error };
  });
}

function twice({ name, version }: Source, seen: Set<string>, path: string): ConfigError | undefined {
  const key = `${name}/${version}`;
  if (seen.has(key)) {
    return new ConfigError("MODEL", path, `each model once`, { hint: `${key} comes twice` });
  }
  seen.add(key);
  return undefined;
}

/** A wrong key, before anything is loaded that may take minutes. */
function wrongIn({ name, config }: Source, defaults: PipeConfig): ConfigError | undefined {
  try {
    parseConfig({ ...defaults, ...config });
    return undefined;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // Of the command line's keys everybody knows whose they are.
    const { field } = error;
    if (!Object.hasOwn(config, field) && Object.hasOwn(defaults, field)) return error;
    error.message += `, for model ${JSON.stringify(name)}`;
    return error;
  }
}

function ofFile(path: string): Source[] {
  const name = basename(path, extname(path));
  if (extname(path) !== ".toml") return [{ name, version: "1", config: { model: resolve(path) } }];
  return orError(
    () => ofTables(path),
    () => [{ name, version: "1", config: {} }],
    path,
  );
}

function inFolder(folder: string, versions: "latest" | "all"): Source[] {
  return readdirSync(folder)
    .filter((name) => !OTHERS.test(name))
    .toSorted()
    .flatMap((name) => {
      const path = join(folder, name);
      if (isFolder(path)) return ofModelFolder(path, name, versions);
      return [".toml", ...ENDINGS].includes(extname(name)) ? ofFile(path) : [];
    });
}

/** False for what cannot be looked at, too, such as a link that leads nowhere. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** NAME/1/model.onnx, NAME/2/model.onnx, and maybe NAME/config.toml with keys for all of them. */
function ofModelFolder(folder: string, name: string, which: "latest" | "all"): Source[] {
  let chosen: Source[] = [{ name, version: "1", config: {} }];
  return orError(
    () => {
      const versions = readdirSync(folder)
        .filter((entry) => VERSION.test(entry) && modelIn(join(folder, entry)) !== undefined)
        .toSorted((a, b) => Number(a) - Number(b));
      chosen = (which === "all" ? versions : versions.slice(-1)).map((version) => ({
        name,
        version,
        config: { model: modelIn(join(folder, version))! },
      }));
      const path = join(folder, "config.toml");
      const config = existsSync(path) ? readConfig(name, readToml(path), folder) : {};
      return chosen.map((source) => ({ ...source, config: { ...config, ...source.config } }));
    },
    () => chosen,
    folder,
  );
}

/** What `read` finds, or those that stand for it with what is wrong. */
function orError(read: () => Source[], instead: () => readonly Source[], path: string): Source[] {
  try {
    return read();
  } catch (cause) {
    const hint = cause instanceof Error ? cause.message : String(cause);
    const error =
      cause instanceof ConfigError
        ? cause
        : new ConfigError("MODEL", path, "what can be read", { cause, hint });
    return instead().map((source) => ({ ...source, error }));
  }
}

function modelIn(folder: string): string | undefined {
  if (!isFolder(folder)) return undefined;
  // Throws where it may not be read: that a model cannot be seen is not that there is none.
  const files = new Set(readdirSync(folder));
  const file = MODEL_FILES.find((name) => files.has(name));
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
      if (name === "") throw new ConfigError(basename(path), "", "a name for each table");
      const { version = "1", ...keys } = { ...Object.fromEntries(common), ...(value as Table) };
      const text = String(version);
      if (!VERSION.test(text)) throw new ConfigError(`${name}.version`, version, "a whole number from 1");
      return { name, version: text, config: readConfig(name, keys, dirname(path)) };
    });
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function readToml(path: string): Table {
  try {
    return parse(new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path)));
  } catch (error) {
    const [why] = (error instanceof Error ? error.message : String(error)).split("\n", 1);
    const at = error instanceof TomlError ? `line ${error.line}, column ${error.column}: ` : "";
    const hint = `${at}${why.replace("Invalid TOML document: ", "")}`;
    throw new ConfigError(basename(path), path, "a file in TOML", { cause: error, hint });
  }
}

const TABLES = 'a table for each model, as [NAME] with model = "FILE.onnx" below it';
const PATHS = ["model", "model::cache", "onnxruntime", "tensorrt"];

/** Paths are relative to the file that names them. `pipe()` checks everything else. */
function readConfig(name: string, keys: Table, folder: string): PipeConfig {
  const config: Record<string, unknown> = { ...keys };
  for (const key of PATHS) {
    const path = config[key];
    if (typeof path === "string" && path !== "" && !isAbsolute(path) && !path.includes("://")) {
      config[key] = resolve(folder, path);
    }
  }
  for (const key of ["log", "workerUrl"]) {
    if (key in config) throw new ConfigError(`${name}.${key}`, config[key], "no such key in a file");
  }
  return config as PipeConfig;
}
