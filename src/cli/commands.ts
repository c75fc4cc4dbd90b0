/** The subcommands. Each is loaded when it is asked for, so that none pays for the others. */

import type { Command } from "./command.ts";

export interface Entry {
  about: string;
  /** Not told of by --help: it is there for another command. */
  hidden?: true;
  load(): Promise<Command>;
}

export const commands: Readonly<Record<string, Entry>> = {
  bench: {
    about: "Measures throughput and latency of a model, or of a server, over the load",
    load: async () => (await import("./bench.ts")).command,
  },
  build: {
    about: "Build the engine of a model with TensorRT, and keep it",
    load: async () => (await import("./build.ts")).command,
  },
  doctor: {
    about: "What this machine has, what is missing, and how to get it",
    load: async () => (await import("./doctor.ts")).command,
  },
  "doctor-self": {
    about: "Whether trtpipe itself works here; asked by doctor",
    hidden: true,
    load: async () => (await import("./doctor-self.ts")).command,
  },
  serve: {
    about: "Serve models over HTTP and gRPC, with the Open Inference Protocol",
    load: async () => (await import("./serve.ts")).command,
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
