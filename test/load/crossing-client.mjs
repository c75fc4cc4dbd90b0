/**
 * Clients that ask two pipes at once and check every number that comes back. Used on the main thread and, as
 * a Worker's script, on others. Plain JavaScript, which every runtime starts as a Worker.
 */

import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { Tensor, attach } from "trtpipe";

/** Largest request, in rows; the pipes' batches are smaller. */
const ROWS_MAX = 7;
const CLIENTS = 8;
/** float32 holds integers up to 2^24 exactly: 2 x value + 1 stays below. */
const VALUES = 2 ** 22;

/** Asks `requests` times in all, from several clients at once. `report(done)` is called now and then. */
export async function ask({ identity, affine, thread, requests, report }) {
  const count = { done: 0, wrong: 0, lost: 0 };
  let left = requests;
  const client = async (index) => {
    while (left > 0) {
      const request = left--;
      const rows = 1 + (request % ROWS_MAX);
      const toAffine = request % 2 === 0;
      const first = (thread * 65_537 + index * 4_099 + request * 31) % (VALUES - 64);
      const data = Float32Array.from({ length: rows * 4 }, (_, i) => first + i);
      const input = { data: request % 3 === 0 ? Tensor.from(data, { shape: [rows, 4] }) : data };
      try {
        const { result } = await (toAffine ? affine : identity)(input);
        const right = (value, i) => value === (toAffine ? 2 * (first + i) + 1 : first + i);
        if (result.data.length !== data.length || !result.data.every(right)) count.wrong++;
      } catch {
        count.lost++;
      }
      if (++count.done % 4096 === 0) report?.(4096);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));
  return count;
}

if (!isMainThread && workerData?.crossing) {
  const { identity, affine, thread, requests } = workerData.crossing;
  const pipes = { identity: attach(identity), affine: attach(affine) };
  const report = (done) => parentPort.postMessage({ progress: done });
  const count = await ask({ ...pipes, thread, requests, report });
  await Promise.all([pipes.identity.close(), pipes.affine.close()]);
  parentPort.postMessage({ count });
}
