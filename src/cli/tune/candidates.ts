/** Which configurations are worth a measurement. Pure. */

/** What is searched: the four numbers that decide how a machine is shared out. */
export interface Candidate {
  instanceNum: number;
  /** Threads that one instance computes with; null where the backend computes on a device. */
  intraOpThreads: number | null;
  max: number;
  batchingTimeoutMs: number;
}

export interface Space {
  cores: number;
  clients: number;
  /** Whether the model computes on a device, so that threads of this machine do not matter. */
  device: boolean;
  /** The one batch size that the model takes; undefined if it takes any. */
  fixedMax: number | undefined;
}

const DEVICE_INSTANCES = [1, 2, 3, 4];
export const TIMEOUTS_MS: readonly number[] = [0, 2, 5, 10];

/** What `pipe()` takes if nothing but the model is given. */
export function defaultCandidate(space: Space): Candidate {
  const intraOpThreads = space.device ? null : space.cores;
  return { instanceNum: 1, intraOpThreads, max: space.fixedMax ?? 1, batchingTimeoutMs: 0 };
}

/** Every split of the machine with every batch size, without waiting for batches to fill. */
export function firstRound(space: Space): Candidate[] {
  const shares = splits(space);
  const maxima = sizes(space, shares.map(([instanceNum]) => instanceNum)); // prettier-ignore
  return shares.flatMap(([instanceNum, intraOpThreads]) =>
    maxima.map((max) => ({ instanceNum, intraOpThreads, max, batchingTimeoutMs: 0 })),
  );
}

/**
 * The same with the other waits. Only where a batch can wait at all: one instance is either idle, and takes
 * what is there, or busy.
 */
export function withTimeouts(candidates: readonly Candidate[]): Candidate[] {
  return candidates.flatMap((one) => {
    const waits = one.instanceNum > 1 && one.max > 1 ? TIMEOUTS_MS : [one.batchingTimeoutMs];
    return waits.map((batchingTimeoutMs) => ({ ...one, batchingTimeoutMs }));
  });
}

/** Instances and threads of each, so that all cores are used and none is promised twice. */
function splits({ cores, device }: Space): (readonly [number, number | null])[] {
  if (device) return DEVICE_INSTANCES.map((count) => [count, null] as const);
  const counts = new Set([...powersUpTo(cores), cores]);
  return [...counts].map((count) => [count, Math.floor(cores / count)] as const);
}

/** Powers of two that the clients can fill, all clients at once, and an instance's share of them. */
function sizes({ clients, fixedMax }: Space, instances: readonly number[]): number[] {
  if (fixedMax !== undefined) return [fixedMax];
  const shares = instances.map((count) => Math.ceil(clients / count));
  return [...new Set([...powersUpTo(clients), ...shares])].toSorted((a, b) => a - b);
}

function powersUpTo(limit: number): number[] {
  const powers: number[] = [];
  for (let power = 1; power <= limit; power *= 2) powers.push(power);
  return powers;
}
