/** The goals that the serve bench can tell. */

import { goal } from "../lib/goal.ts";
import type { Goal } from "../lib/goal.ts";
import type { Row } from "../lib/plan.ts";
import { rate } from "../lib/results.ts";
import type { Results } from "../lib/results.ts";
import { NAMES, PYTHON, baseline } from "./plan.ts";
import { CLIENTS, SERVED } from "./settings.ts";
import type { Served } from "./settings.ts";

export function goals(results: Results): Goal[] {
  const best = (contender: string, model: Served, in_flight: number): Row | undefined =>
    results.best(
      results
        .find({ contender, model, in_flight })
        .filter(({ runtime }) => runtime === "node" || runtime === "python"),
    );
  const over = (
    model: Served,
    clients: number,
    other: (ours: Row) => Row | undefined,
    protocol: "http" | "grpc" = "http",
  ): number | undefined => {
    const ours = best(NAMES[protocol], model, clients);
    const row = ours && other(ours);
    return ours && row && results.ratio(ours, row, rate)?.median;
  };
  const title = (model: Served, clients: number, protocol = "HTTP"): string =>
    `${model}, ${clients} connections, ${protocol}:`;
  return [
    ...SERVED.flatMap((model) =>
      CLIENTS.flatMap((clients) =>
        PYTHON.map((name) => {
          const value = over(model, clients, () => best(NAMES[name], model, clients));
          return goal(`${title(model, clients)} requests/s over those of ${NAMES[name]}`, value, {
            above: 1,
          });
        }),
      ),
    ),
    ...CLIENTS.flatMap((clients) =>
      (["http", "grpc"] as const).map((protocol) => {
        const value = over("resnet18", clients, (ours) => baseline(ours, results), protocol);
        const name = title("resnet18", clients, { http: "HTTP", grpc: "gRPC" }[protocol]);
        return goal(`${name} requests/s over the C loop's`, value, { atLeast: 0.88 });
      }),
    ),
    ...CLIENTS.map((clients) => {
      const value = over("mlp", clients, () => best(NAMES.batcher, "mlp", clients));
      return goal(`${title("mlp", clients)} requests/s over the node:http batcher's`, value, {
        atLeast: 0.9,
      });
    }),
  ];
}
