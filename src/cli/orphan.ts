/**
 * npm runs a command in a shell, and gives a signal to that shell alone. Most shells end then without a word
 * to the command, which would go on for ever, with nobody who knows of it.
 */

const LOOK_EVERY_MS = 100;

/** Resolves when npm has started this process and the parent that it had at the start is gone. Else never. */
export function orphaned(env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const parent = process.ppid;
  return new Promise((resolve) => {
    if (env.npm_command === undefined || parent === 1) return;
    const timer = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(timer);
      resolve();
    }, LOOK_EVERY_MS);
    timer.unref();
  });
}
