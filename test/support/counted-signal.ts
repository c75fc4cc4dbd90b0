/** A signal that counts its listeners. */

export interface CountedSignal {
  signal: AbortSignal;
  abort: (reason?: unknown) => void;
  listeners: () => number;
}

export function countedSignal(): CountedSignal {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  return { signal, abort: (reason) => controller.abort(reason), listeners: () => listeners };
}
