/** What `npm run soak` is given. */

import { LEAKS } from "./leaks.ts";

export interface SoakOptions {
  durationS: number;
  /** Hold the slope of RSS, instead of comparing two windows. */
  long: boolean;
  /** Name of a leak on purpose; null: none. */
  leak: string | null;
  seed: number;
}

const UNITS: Readonly<Record<string, number>> = { "--seconds": 1, "--minutes": 60, "--hours": 3600 };

/** null: something was wrong, and stderr says what. */
export function readOptions(args: readonly string[]): SoakOptions | null {
  const options: SoakOptions = { durationS: 360, long: false, leak: null, seed: Date.now() >>> 0 };
  for (let i = 0; i < args.length; i += 2) {
    const [name, value] = [args[i], args[i + 1] ?? ""];
    const number = Number(value);
    if (Object.hasOwn(UNITS, name) && number > 0 && number < 1e6) {
      options.durationS = number * UNITS[name];
      options.long = name === "--hours";
    } else if (name === "--leak" && Object.hasOwn(LEAKS, value)) options.leak = value;
    else if (name === "--seed" && number >>> 0 === number) options.seed = number;
    else return refuse(`${name} ${value}`);
  }
  return options;
}

function refuse(given: string): null {
  const kinds = Object.keys(LEAKS).join(", ");
  const expected = `--minutes N, --hours N, --seconds N, --seed N, or --leak with one of ${kinds}`;
  console.error(`Cannot use "${given.trim()}": expected ${expected}`);
  return null;
}
