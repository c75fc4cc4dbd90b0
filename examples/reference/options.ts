/** The command line of examples/reference.ts. */

import { parseArgs } from "node:util";

export interface Options {
  seconds: number;
  clients: number;
  json: boolean;
}

const USAGE = `usage: npm start -- [--runtime node|bun|deno] [options]
  --seconds N   how long the clients send requests (default 4)
  --clients N   how many send at once, each one request at a time (default 10)
  --json        one JSON object on stdout instead of text`;

/** Throws an Error with the usage for what it does not understand. */
export function readOptions(argv: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        seconds: { type: "string", default: "4" },
        clients: { type: "string", default: "10" },
        json: { type: "boolean", default: false },
      },
    });
    const clients = read("clients", values.clients, 1, 1000);
    if (!Number.isInteger(clients))
      throw new Error(`Cannot use --clients: expected an integer, got ${clients}`);
    return { seconds: read("seconds", values.seconds, 0.1, 3600), clients, json: values.json };
  } catch (error) {
    throw new Error(`${(error as Error).message}\n\n${USAGE}`, { cause: error });
  }
}

function read(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= low && value <= high) return value;
  throw new Error(`Cannot use --${name}: expected a number from ${low} to ${high}, got "${text}"`);
}
