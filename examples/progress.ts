/** Tells a person what takes longer than a second, on stderr. */

const SHOW_AFTER_MS = 1000;

/** Called with the share that is done, 0..1, by work that blocks the event loop. */
export type Tick = (share: number) => void;

/**
 * Runs `work` and shows `label ... 3 s` once it has taken a second: a line that changes on a terminal, else
 * one line when it starts to show and one when it is done.
 */
export async function step<T>(label: string, work: (tick: Tick) => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const live = process.stderr.isTTY === true;
  let shown = false;
  const show = (share?: number): void => {
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs < SHOW_AFTER_MS || (shown && !live)) return;
    const percent = share === undefined ? "" : `, ${Math.round(share * 100)} %`;
    process.stderr.write(
      `${live ? "\r" : ""}${label} ... ${seconds(elapsedMs)}${percent} ${live ? "" : "\n"}`,
    );
    shown = true;
  };
  const timer = setInterval(() => show(), 250);
  try {
    return await work(show);
  } finally {
    clearInterval(timer);
    const line = `${label} ... done in ${seconds(performance.now() - startMs)}`;
    // Longer than what stood there, so that nothing of it is left.
    if (shown) process.stderr.write(live ? `\r${line.padEnd(60)}\n` : `${line}\n`);
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
