import { existsSync } from "node:fs";
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

// Two configurations, because each format names a worker file of its own kind.
const configs: Options[] = [
  { ...shared, format: "esm", define: { __WORKER__: '"./worker.js"' } },
  { ...shared, format: "cjs", shims: true, define: { __WORKER__: '"./worker.cjs"' } },
];

const config: ReturnType<typeof defineConfig> = defineConfig(configs);

export default config;
