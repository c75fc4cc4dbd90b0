/** An engine: from its file what it was built for, and from TensorRT, where that runs, what it takes. */

import { dirname, join, resolve } from "node:path";
import {
  dtypeOfNumber,
  environment,
  inspectEngineFile,
  loadNative,
  tensorrtPaths,
  type EngineFile,
} from "../internal.ts";
import { shown, type Inspected, type Tensor } from "./inspected.ts";
import { isMissing, probe, type Found } from "./probe.ts";

type Shape = readonly number[] | null;

/** What the host program tells of an opened engine. */
interface Opened {
  engine: string;
  inputs: readonly { name: string; dtype: number; shape: Shape }[];
  outputs: readonly { name: string; dtype: number; shape: Shape }[];
  profiles: readonly Readonly<Record<string, { min: Shape; opt: Shape; max: Shape }>>[];
  /** TensorRT's own JSON; null if it tells none. */
  layers: string | null;
}

interface InspectedEngine extends Inspected {
  kind: "container" | "plan";
  plan: { bytes: number; magic: string };
  container: EngineFile["container"];
  /** Which TensorRT opened it on which device, or why none did. */
  openedBy: Found<{ engine: string }>;
  profiles: Opened["profiles"] | null;
  layers: readonly unknown[] | null;
}

/** null: the file holds no engine. */
export async function inspectEngine(path: string, device: string): Promise<InspectedEngine | null> {
  const found = readFile(path);
  if (found === null) return null;
  const opened = await open(path, device, found);
  const known = isMissing(opened) ? null : opened;
  const engine: InspectedEngine = {
    kind: found.container === null ? "plan" : "container",
    file: resolve(path),
    bytes: found.bytes,
    plan: { bytes: found.planBytes, magic: found.planMagic },
    container: found.container,
    openedBy: isMissing(opened) ? opened : { engine: opened.engine },
    inputs: known && known.inputs.map(tensor),
    outputs: known && known.outputs.map(tensor),
    profiles: known && known.profiles,
    layers: known && layersOf(known.layers),
    lines: [],
  };
  return { ...engine, lines: describe(engine) };
}

/** What cannot be read at all is told by the reader of models, which has the better words. */
function readFile(path: string): EngineFile | null {
  try {
    return inspectEngineFile(path);
  } catch {
    return null;
  }
}

/** An engine is code: TensorRT sees it only in a process of its own, and only if it is what was written. */
async function open(path: string, device: string, { container }: EngineFile): Promise<Found<Opened>> {
  if (container !== null && !container.whole) return { missing: "not opened: the file is damaged" };
  const host = environment("TRTPIPE_HOST") ?? join(dirname(loadNative().path), "trtpipe-host");
  const options = tensorrtPaths(null).filter(([key]) => key !== "host");
  return probe<Opened>(host, "engine", [...options, ["engine", path], ["device_id", device]]);
}

function tensor({ name, dtype, shape }: Opened["inputs"][number]): Tensor {
  return { name, dtype: dtypeOfNumber(dtype) ?? `type ${dtype}`, shape };
}

function layersOf(text: string | null): readonly unknown[] | null {
  if (text === null) return null;
  const { Layers: layers } = JSON.parse(text) as { Layers?: unknown };
  return Array.isArray(layers) ? layers : null;
}

function describe(engine: InspectedEngine): string[] {
  const { container, openedBy, profiles, layers } = engine;
  const kind = container === null ? "TensorRT engine" : "TensorRT engine in a container of trtpipe";
  const key = Object.entries(container?.key ?? {}).map(([name, value]) => `  built for  ${name}=${value}`);
  const ranges = (profiles ?? []).flatMap((profile, i) =>
    Object.entries(profile).map(
      ([name, { min, opt, max }]) => `  profile ${i}  ${name} ${[min, opt, max].map(dims).join(" .. ")}`,
    ),
  );
  return [
    `${engine.file}  ${kind}, ${engine.bytes} bytes`,
    ...(container === null || container.whole ? [] : ["  damaged    it is not what was written"]),
    ...key,
    ...(engine.inputs ?? []).map((value) => `  input      ${shown(value)}`),
    ...(engine.outputs ?? []).map((value) => `  output     ${shown(value)}`),
    ...ranges,
    ...(layers === null ? [] : [`  layers     ${layers.length}`]),
    isMissing(openedBy) ? `  not opened ${openedBy.missing}` : `  opened by  ${openedBy.engine}`,
  ];
}

function dims(shape: Shape): string {
  return shape === null ? "?" : shape.join("x");
}
