/** `npm run -s plots`: draws the kept results of bench/results as pictures in docs/plots. */

import { handOver, main } from "./run.mjs";
import { fileCommand } from "./runtimes.mjs";

await main((args) => handOver(...fileCommand("node", "bench/plots/run.ts", args)));
