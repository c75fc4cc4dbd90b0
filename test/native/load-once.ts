/** Loads the library from the path given, and prints what it describes or why it was not loaded. */

import { load } from "../../src/native/load.ts";

try {
  const native = load(process.argv[2]);
  console.log(native.binding, native.describe().backends.includes("Identity"));
} catch (error) {
  console.log((error as Error).message);
}
