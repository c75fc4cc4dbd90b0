/** Logs as JSON, a line each, with pino's field names. */

import type { Log } from "../index.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

const levels: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50 };

export function jsonLog(lowest: LogLevel, write: (line: string) => void): Log {
  return (level, text, fields) => {
    if (levels[level] < levels[lowest]) return;
    const line = { level: levels[level], time: Date.now(), pid: process.pid, msg: text, ...fields };
    write(`${JSON.stringify(line)}\n`);
  };
}
