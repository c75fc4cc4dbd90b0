/** What a command reads from and writes to, so that tests can stand in for it. */

export interface Terminal {
  /** What was asked for, to stdout. A line end is added. */
  out(text: string): void;
  /** What a person should see besides, to stderr. A line end is added. */
  note(text: string): void;
  /** Raw text to stderr, for a line that is drawn anew. */
  draw(text: string): void;
  /** From now on the process does not end when nobody reads its stdout any more. */
  goOnUnread(): void;
  /** Whether stdout shows colours. */
  colours: boolean;
  /** Width of stderr where lines can be drawn anew, else undefined. */
  columns: number | undefined;
  /** Aborts when the person asks to stop. A second time, a moment later, ends the process at once. */
  signal: AbortSignal;
}

/** The terminal of this process. */
export function terminal(): Terminal {
  const { stdout, stderr } = process;
  let goesOn = false;
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    // `trtpipe inspect MODEL | head` is no failure.
    if (!goesOn) process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  // What is told besides is not worth the end of what it is about.
  stderr.on("error", () => {});
  return {
    out: (text) => void stdout.write(`${text}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    draw: (text) => void stderr.write(text),
    goOnUnread: () => {
      goesOn = true;
    },
    colours: stdout.isTTY === true && !process.env.NO_COLOR,
    columns: stderr.isTTY === true && process.env.TERM !== "dumb" ? stderr.columns || 80 : undefined,
    signal: stopSignal(),
  };
}

/** Exit status of a process that was asked to stop. */
export const INTERRUPTED = 130;

/**
 * A terminal sends Ctrl-C to every process in it, and npm hands its own on: this process gets two for one.
 * Nobody presses it again that soon.
 */
const SAME_SIGNAL_MS = 200;

function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let stoppedMs = 0;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      const sinceMs = performance.now() - stoppedMs;
      if (controller.signal.aborted && sinceMs > SAME_SIGNAL_MS) process.exit(INTERRUPTED);
      if (controller.signal.aborted) return;
      stoppedMs = performance.now();
      controller.abort(new DOMException(`Stopped by ${name}`, "AbortError"));
    });
  }
  return controller.signal;
}
