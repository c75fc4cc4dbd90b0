/** An address that cannot be listened at. Runtimes say so in their own ways; here it is always one line. */

const REASONS: readonly [RegExp, string][] = [
  [/EADDRINUSE|address (already )?in use/i, "the port is taken"],
  [/EADDRNOTAVAIL|(cannot|can't) assign/i, "this machine does not have that address"],
  [/EACCES|permission denied/i, "the port is not allowed to this user"],
  [/ENOTFOUND|EAI_AGAIN|resolution failed|failed to lookup/i, "the name has no address"],
];

export class ListenError extends Error {
  /** `option` is the one that chooses the port. */
  constructor(protocol: "HTTP" | "gRPC", host: string, port: number, option: string, cause: Error) {
    const text = `${(cause as NodeJS.ErrnoException).code ?? ""} ${cause.message}`;
    const reason = REASONS.find(([pattern]) => pattern.test(text))?.[1] ?? cause.message;
    const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    super(`Cannot listen at ${address} for ${protocol}: ${reason} (see --host and ${option})`, { cause });
    this.name = "ListenError";
  }
}
