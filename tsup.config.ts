import { existsSync, readFileSync } from "node:fs";
import { defineConfig, type Options } from "tsup";

/**
 * Two entries: what users import, and the script of an instance thread. Everything but koffi is bundled into
 * each.
 */
const entry: Record<string, string> = Object.fromEntries(
  ["index", "worker"].map((name) => [name, `src/${name}.ts`]).filter(([, path]) => existsSync(path)),
);

const shared: Options = {
  entry,
  dts: { entry: { index: "src/index.ts" } },
  target: "node20",
  platform: "node",
  external: ["koffi"],
  noExternal: [/^(?!koffi$)/],
  removeNodeProtocol: false,
  splitting: false,
  // Class names are part of what users see: of errors, and of tensors when they are printed.
  keepNames: true,
  sourcemap: true,
  silent: true,
};

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
const esm = { __WORKER__: '"./worker.js"', __VERSION__: JSON.stringify(version) };

// A configuration for each format, because each names a worker file of its own kind. The command line is a
// program, not something to import: it comes in one format, and without types.
const configs: Options[] = [
  { ...shared, format: "esm", define: esm },
  { ...shared, format: "cjs", shims: true, define: { __WORKER__: '"./worker.cjs"' } },
  { ...shared, entry: { cli: "src/cli/main.ts" }, dts: false, format: "esm", define: esm },
];

const config: ReturnType<typeof defineConfig> = defineConfig(configs);

export default config;
