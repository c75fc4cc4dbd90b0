/**
 * The hidden command with which `doctor` looks at trtpipe itself: loads the C library with this runtime's
 * foreign functions, starts an instance thread, and sends a request through it.
 */

import { pipe } from "../index.ts";
import { loadNative } from "../internal.ts";
import { makeCommand, type Command } from "./command.ts";
import type { Self } from "./doctor-report.ts";

export const command: Command = makeCommand({
  name: "doctor-self",
  about: "Whether trtpipe itself works here; asked by doctor",
  args: {},
  examples: [],
  run: async (_, terminal) => {
    const native = loadNative();
    const { version, backends } = native.describe();
    const models = await pipe({ backend: "Identity", max: 1 });
    await models({ data: Float32Array.of(1) });
    const { runtime } = models.describe();
    await models.close();
    const self: Self = { path: native.path, version, binding: native.binding, backends, runtime };
    terminal.out(JSON.stringify(self));
  },
});
