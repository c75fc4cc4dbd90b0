/** A fresh process for one contender, one model and one number of clients. */

import { childSpec, report } from "../lib/child-io.ts";
import { closedLoop } from "../lib/closed-loop.ts";
import { readModelData } from "./data.ts";
import type { ModelData } from "./data.ts";
import { checkedTarget } from "./target.ts";
import type { Inference, ModelsSpec, Settings } from "./target.ts";

type Open = (model: ModelData, settings: Settings) => Promise<Inference<unknown>>;

const contenders: Record<string, () => Promise<{ open: Open }>> = {
  trtpipe: () => import("./trtpipe.ts") as Promise<{ open: Open }>,
  direct: () => import("./direct.ts") as Promise<{ open: Open }>,
  batcher: () => import("./main-thread-batcher.ts") as Promise<{ open: Open }>,
  piscina: () => import("./piscina-batcher.ts") as Promise<{ open: Open }>,
};

const spec = childSpec<ModelsSpec>();
const { open } = await contenders[spec.contender]();
const model = readModelData(spec.model);
const inference = await open(model, spec.settings);
report({ cell: "all", ...(await closedLoop(checkedTarget(inference, model), spec)) });
await inference.close();
process.exit(0);
