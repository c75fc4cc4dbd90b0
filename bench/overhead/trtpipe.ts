/** trtpipe itself, through its public interface: Identity, batches of up to 16. */

import { pipe, Tensor } from "trtpipe";
import type { Answered, PipeInput } from "trtpipe";
import { ANSWER_BYTES, IN_PROCESS } from "./target.ts";
import type { Echo, OverheadSpec } from "./target.ts";

export async function open(spec: OverheadSpec): Promise<Echo<Answered<PipeInput>>> {
  const bytes = spec.payloadBytes;
  const answer = bytes === 0 ? 0 : ANSWER_BYTES;
  const identity = `(dtype=uint8,shape=${bytes},output_dtype=uint8,output_shape=${answer})Identity`;
  const models = await pipe({
    backend: spec.contender === IN_PROCESS ? `Process[${identity}]` : identity,
    instance_num: spec.threads,
    batching_timeout: 0,
    max: 16,
  });
  // How many rows there are cannot be told from an array of no bytes: their shape says it.
  const nothing = Tensor.from(new Uint8Array(0), { shape: [1, 0] });
  return {
    send: bytes === 0 ? () => models({ data: nothing }) : (data) => models({ data }),
    bytes: (input) => (input.result as Tensor | undefined)?.data as Uint8Array | undefined,
    counters: () => {
      const { batches, rows } = models.stats();
      return { batches, rows };
    },
    close: () => models.close(),
  };
}
