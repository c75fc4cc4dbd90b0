/** What `action` throws, which must be of this class exactly. */
export function caught<E extends Error>(errorClass: new (...args: never[]) => E, action: () => unknown): E {
  const error = thrown(action);
  if (error === undefined) throw new Error(`expected ${errorClass.name}, but nothing was thrown`);
  if (Object.getPrototypeOf(error) === errorClass.prototype) return error as E;
  throw new Error(`expected ${errorClass.name}, but ${String(error)} was thrown`, { cause: error });
}

/** What `action` throws; undefined if it returns. */
export function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Name of the class of what `action` throws, or "nothing". */
export function thrownClass(action: () => unknown): string {
  const error = thrown(action);
  if (error === undefined) return "nothing";
  return (Object.getPrototypeOf(error) as { constructor: { name: string } }).constructor.name;
}
