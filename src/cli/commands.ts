/** The subcommands. Each is loaded when it is asked for, so that none pays for the others. */

import type { Command } from "./command.ts";

export interface Entry {
  about: string;
  load(): Promise<Command>;
}

export const commands: Readonly<Record<string, Entry>> = {
  serve: {
    about: "Serve models over HTTP and gRPC, with the Open Inference Protocol",
    load: async () => (await import("./serve.ts")).command,
  },
  inspect: {
    about: "What is in a model: inputs, outputs, operators, external data",
    load: async () => (await import("./inspect.ts")).command,
  },
};
