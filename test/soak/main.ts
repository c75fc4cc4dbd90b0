/**
 * `npm run -s soak -- [--minutes N | --hours N] [--leak KIND] [--seed N]`, started by scripts/soak.mjs: a
 * mixed load from this thread and from Workers, in rounds. After each everything has to be back: what was
 * asked is settled and right, and the process holds what it held before.
 */

import process from "node:process";
import { useFaultLibrary } from "../support/fault.ts";

useFaultLibrary();
const { soak } = await import("./soak.ts");
const { readOptions } = await import("./options.ts");

const options = readOptions(process.argv.slice(2));
process.exit(options === null ? 2 : await soak(options));
