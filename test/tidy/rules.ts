/** Who may import whom in src/, and what no file may say. */

/**
 * What each file or folder of src/ may import, besides its own folder: a folder, or one file of it. `types:`
 * allows types alone. Nothing points up; worker.ts is the one place where the scheduler meets a backend.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "errors.ts": [],
  "nearest.ts": [],
  "hooks.ts": ["errors.ts", "memory", "types:scheduler"],
  "protocol.ts": ["errors.ts", "memory", "types:hooks.ts", "types:onnx"],
  memory: ["errors.ts"],
  native: ["errors.ts"],
  onnx: ["errors.ts"],
  scheduler: ["errors.ts", "memory"],
  backends: [
    "errors.ts",
    "nearest.ts",
    "protocol.ts",
    "memory",
    "native",
    "onnx",
    // The shape of what the scheduler calls.
    "types:scheduler",
  ],
  "worker.ts": ["errors.ts", "hooks.ts", "protocol.ts", "memory", "native", "scheduler", "backends"],
  pipe: [
    "errors.ts",
    "hooks.ts",
    "nearest.ts",
    "protocol.ts",
    "memory",
    "native",
    "onnx",
    "scheduler/supervise.ts",
    "scheduler/decide.ts",
    "scheduler/watchdog.ts",
    "backends/expression.ts",
    "backends/resolve.ts",
  ],
  "index.ts": ["errors.ts", "pipe"],
  "internal.ts": ["errors.ts", "nearest.ts", "native", "onnx", "backends", "pipe"],
  server: ["index.ts", "internal.ts"],
  cli: ["index.ts", "internal.ts", "server"],
};

/** The folder or file of src/ that a path belongs to, as MAY_IMPORT names it. */
export function roomOf(path: string): string {
  return path.split("/")[1];
}

export function mayImport(from: string, to: string, typeOnly: boolean): boolean {
  if (roomOf(from) === roomOf(to)) return true;
  const allowed = MAY_IMPORT[roomOf(from)] ?? [];
  const names = [roomOf(to), to.slice("src/".length)];
  return names.some((name) => allowed.includes(name) || (typeOnly && allowed.includes(`types:${name}`)));
}

/** What no file may hold (`code: true`: no TypeScript file), and what to do instead. */
export const BANNED: readonly { pattern: RegExp; instead: string; code?: boolean }[] = [
  { pattern: /\b(TODO|FIXME|XXX|HACK)\b/, instead: "do it, or say plainly what is missing" },
  { pattern: /\b(it|test|describe)\.only\b/, instead: "run the whole suite" },
  { pattern: /@ts-(ignore|nocheck|expect-error)\b/, instead: "give it a type" },
  { pattern: /\b(es|ox)lint-disable\b/, instead: "mend it, or change the rule for everybody" },
  { pattern: /\bas any\b|: any\b/, instead: "use unknown, and narrow it", code: true },
  { pattern: /\bissue [A-Z]\b/, instead: "name the thing itself" },
  { pattern: /\bhelpers?\b/i, instead: "say what it does" },
  { pattern: /\b(sub-?agent|this workplace)s?\b/i, instead: "say it without" },
  { pattern: /\bhttps?:\/\/[^/\s"]*registry\b/, instead: "leave registries to the user's configuration" },
];
