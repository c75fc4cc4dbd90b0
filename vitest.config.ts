import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  // The built package is imported as users import it, and run untransformed.
  resolve: { alias: { trtpipe: new URL("./dist/index.js", import.meta.url).pathname } },
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    server: { deps: { external: [/\/dist\/[^/]+$/] } },
    reporters: ["default", "./scripts/count-reporter.mjs"],
  },
});

export default config;
