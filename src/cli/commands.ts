/** The subcommands. Each is loaded when it is asked for, so that none pays for the others. */

import type { Command } from "./command.ts";

export interface Entry {
  about: string;
  load(): Promise<Command>;
}

export const commands: Readonly<Record<string, Entry>> = {
  bench: {
    about: "Measures throughput and latency of a model, or of a server, over the load",
    load: async () => (await import("./bench.ts")).command,
  },
  inspect: {
    about: "What is in a model: inputs, outputs, operators, external data",
    load: async () => (await import("./inspect.ts")).command,
  },
  tune: {
    about: "Finds instance_num, max, threads and batching_timeout for a model on this machine",
    load: async () => (await import("./tune.ts")).command,
  },
};
