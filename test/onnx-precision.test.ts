/** Graphs converted to 16 bits: what becomes of them, and what onnxruntime-node then computes. */

import { readFileSync } from "node:fs";

import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";

import { models } from "../examples/models/index.ts";
import { Random } from "../examples/models/random.ts";
import { ConfigError } from "../src/errors.ts";
import { checkModelBytes } from "../src/onnx/check.ts";
import { GraphBuilder } from "../src/onnx/graph-builder.ts";
import type { Node } from "../src/onnx/graph.ts";
import { readModel } from "../src/onnx/graph.ts";
import { fromHalves, toHalves } from "../src/onnx/halves.ts";
import { convertPrecision } from "../src/onnx/precision.ts";
import type { Conversion } from "../src/onnx/precision.ts";
import { closeGraph, openGraph } from "../src/onnx/prepare.ts";
import { bfloat16Bits, bfloat16Value, float16Bits, float16Value } from "../src/pipe/half.ts";
import { caught } from "./caught.ts";
import type { ModelBytes } from "./models.ts";

const options: InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
};
const fp16: Conversion = { dtype: "float16", all: true, half: [], float32: [] };

interface Converted {
  bytes: ModelBytes;
  nodes: readonly Node[];
  count: number;
}

function convert(bytes: Uint8Array, conversion: Partial<Conversion> = {}): Converted {
  const model = openGraph(checkModelBytes(bytes), bytes);
  const count = convertPrecision(model, { ...fp16, ...conversion });
  const changed = closeGraph(model, "bytes");
  return { bytes: changed, nodes: readModel(changed).graph.nodes, count };
}

const ops = (nodes: readonly Node[]): string => nodes.map(({ op }) => op).join(" ");

async function run(bytes: Uint8Array, feeds: Record<string, Tensor>): Promise<Record<string, Float32Array>> {
  const session = await InferenceSession.create(bytes, options);
  const outputs = await session.run(feeds);
  await session.release();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { type, data }]) => {
      expect(type).toBe("float32");
      return [name, data as Float32Array];
    }),
  );
}

/** The largest difference of all outputs to the converted model, relative to the output's values. */
async function lost(
  bytes: Uint8Array,
  feeds: Record<string, Tensor>,
  conversion: Partial<Conversion> = {},
): Promise<number> {
  const [expected, got] = [await run(bytes, feeds), await run(convert(bytes, conversion).bytes, feeds)];
  let largest = 0;
  for (const [name, values] of Object.entries(expected)) {
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    values.forEach((value, i) => (largest = Math.max(largest, Math.abs(value - got[name][i]) / scale)));
  }
  return largest;
}

const noise = (dims: readonly number[], seed = 1): Tensor =>
  new Tensor(
    "float32",
    new Random(seed).normals(
      dims.reduce((product, dim) => product * dim, 1),
      1,
    ),
    dims,
  );

const data = (name: string): Uint8Array =>
  readFileSync(new URL(`../examples/data/${name}.onnx`, import.meta.url));

describe("16-bit floats, many at a time", () => {
  const special = [
    0,
    -0,
    1,
    -1,
    65504,
    65519.99,
    65520,
    -65520,
    2 ** -24,
    2 ** -25,
    2 ** -14,
    1e-7,
    1e-45,
    3.4e38,
  ];
  const values = Float32Array.from([
    ...special,
    Infinity,
    -Infinity,
    NaN,
    ...new Random(3).normals(100_000, 30),
  ]);

  it.each([
    ["float16", float16Bits, float16Value],
    ["bfloat16", bfloat16Bits, bfloat16Value],
  ] as const)("of %s are the single ones", (dtype, bitsOf, valueOf) => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    expect(fromHalves(all, dtype).every((value, i) => Object.is(value, valueOf(all[i])))).toBe(true);
    // Every float16, what lies between two, and what lies beside that.
    const words = new Uint32Array(fromHalves(all, dtype).buffer);
    const near = new Uint32Array([
      ...words,
      ...words.map((word) => word + 0x1000),
      ...words.map((word) => word + 0xfff),
    ]);
    for (const some of [values, new Float32Array(near.buffer)])
      expect(toHalves(some, dtype).bits.every((bits, i) => bits === bitsOf(some[i]))).toBe(true);
  });

  it("count what becomes infinite", () => {
    expect(toHalves(values, "float16").overflows).toBe(3);
    expect(toHalves(Float32Array.of(3.39e38, 3.4028234e38, Infinity), "bfloat16").overflows).toBe(1);
  });
});

describe("whole models", () => {
  it.each(["mlp", "resnet18-small", "resnet18"] as const)("%s: two Casts, half the weights", async (name) => {
    const bytes = models[name].make();
    const { nodes, bytes: changed } = convert(bytes);
    expect(nodes.filter(({ op }) => op === "Cast")).toHaveLength(2);
    expect(changed.byteLength).toBeLessThan(bytes.byteLength * 0.55);
    const { inputs, outputs } = checkModelBytes(bytes).info;
    expect(checkModelBytes(changed).info).toMatchObject({ inputs, outputs });
    const dims = inputs[0].dims!.map((dim) => (typeof dim === "number" ? dim : 2));
    expect(await lost(bytes, { [inputs[0].name]: noise(dims) })).toBeLessThan(1e-2);
  });

  it("EfficientNet-Lite0, whose weights are float16 behind Casts, which go", async () => {
    const bytes = data("efficientnet_lite0");
    expect(convert(bytes).nodes.filter(({ op }) => op === "Cast")).toHaveLength(2);
    const difference = await lost(bytes, { image: noise([2, 3, 224, 224]) });
    expect(difference).toBeLessThan(1e-2);
    expect(difference).toBeGreaterThan(0);
  });

  it("magika, with its own norms, reduces and softmax in float32", async () => {
    const bytes = data("magika");
    const { nodes } = convert(bytes);
    const critical = nodes.filter(({ op }) => ["Exp", "ReduceSum", "Reciprocal", "Sqrt"].includes(op));
    expect(critical.length).toBeGreaterThan(3);
    expect(critical.flatMap(({ outputs }) => outputs).filter((name) => name.endsWith("_fp16"))).toEqual([]);
    const features = Int32Array.from({ length: 4096 }, (_, i) => (i * 7919) % 257);
    expect(await lost(bytes, { bytes: new Tensor("int32", features, [2, 2048]) })).toBeLessThan(1e-2);
  });
});

/** x [N, 8] -> MatMul -> whatever `rest` adds to it. */
function afterMatMul(rest: (graph: GraphBuilder, y: string) => string, opset = 17): ModelBytes {
  const graph = new GraphBuilder("after", { opset });
  const x = graph.input("x", "float32", ["N", 8]);
  const weight = graph.initializer("w", "float32", [8, 8], new Random(2).normals(64, 0.4));
  graph.output(rest(graph, graph.node("MatMul", [x, weight], ["product"])), "float32", null);
  return graph.toBytes();
}

const x = { x: noise([3, 8]) };

describe("nodes", () => {
  it.each([
    ["Softmax", "Cast MatMul Cast Softmax"],
    ["Exp", "Cast MatMul Cast Exp"],
    ["ReduceSum", "Cast MatMul Cast ReduceSum"],
    ["Relu", "Cast MatMul Relu Cast"],
    ["Tanh", "Cast MatMul Tanh Cast"],
  ])("%s: its place is %s", async (op, expected) => {
    const bytes = afterMatMul((graph, y) => graph.node(op, [y], ["y"]));
    expect(ops(convert(bytes).nodes)).toBe(expected);
    expect(await lost(bytes, x)).toBeLessThan(1e-2);
  });

  it("follow their input: what only float32 nodes use is not cast back and forth", async () => {
    const bytes = afterMatMul((graph, y) => {
      const soft = graph.node("Softmax", [y], ["soft"]);
      const half = graph.initializer("half", "float32", [], Float32Array.of(0.5));
      return graph.node("Log", [graph.node("Add", [soft, half], ["shifted"])], ["y"]);
    });
    expect(ops(convert(bytes).nodes)).toBe("Cast MatMul Cast Softmax Add Log");
    expect(await lost(bytes, x)).toBeLessThan(1e-2);
  });

  it("of types: Cast, Constant, ConstantOfShape and Shape keep theirs", async () => {
    const bytes = afterMatMul((graph, y) => {
      const three = { dtype: "float32", dims: [8], data: new Random(4).normals(8, 1) } as const;
      const sum = graph.node(
        "Add",
        [y, graph.node("Constant", [], ["three"], { value: { tensor: three } })],
        ["sum"],
      );
      const shape = graph.node("Shape", [sum], ["shape"]);
      const zeros = graph.node("ConstantOfShape", [shape], ["zeros"]);
      const above = graph.node("Greater", [sum, zeros], ["above"]);
      const whole = graph.node("Cast", [graph.node("Cast", [above], ["int"], { to: 7 })], ["float"], {
        to: 1,
      });
      const picked = graph.node("Where", [above, sum, whole], ["picked"]);
      return graph.node("Reshape", [picked, shape], ["y"]);
    });
    const { nodes } = convert(bytes);
    expect(nodes.some(({ outputs }) => outputs.includes("picked_fp16"))).toBe(true);
    expect(nodes.some(({ op }) => op === "Constant")).toBe(false);
    expect(await lost(bytes, x)).toBeLessThan(1e-2);
  });

  it("of other types are left alone: integers, float64, and operators that nobody knows", () => {
    const graph = new GraphBuilder("others");
    const a = graph.input("a", "int64", ["N", 2]);
    const d = graph.input("d", "float64", [2, 2]);
    graph.output(graph.node("Add", [a, a], ["y"]), "int64", ["N", 2]);
    graph.output(graph.node("MatMul", [d, d], ["z"]), "float64", [2, 2]);
    const f = graph.input("f", "float32", [2]);
    graph.output(graph.node("my.domain::MatMul", [f, f], ["u"]), "float32", [2]);
    const bytes = graph.toBytes();
    const { nodes, count } = convert(bytes);
    expect([ops(nodes), count]).toEqual(["Add MatMul MatMul", 0]);
  });

  it("with several outputs: Split, MaxPool with its places, LSTM", async () => {
    const split = afterMatMul((graph, y) => {
      graph.node("Split", [y], ["a", "b"], { axis: 1 });
      return graph.node("Concat", ["b", "a"], ["y"], { axis: 1 });
    });
    expect(ops(convert(split).nodes)).toBe("Cast MatMul Split Concat Cast");
    expect(await lost(split, x)).toBeLessThan(1e-2);

    const lstm = new GraphBuilder("lstm");
    const random = new Random(6);
    const sequence = lstm.input("x", "float32", [5, "N", 4]);
    const w = lstm.initializer("w", "float32", [1, 12, 4], random.normals(48, 0.4));
    const r = lstm.initializer("r", "float32", [1, 12, 3], random.normals(36, 0.4));
    const lengths = lstm.input("lengths", "int32", ["N"]);
    lstm.node("LSTM", [sequence, w, r, "", lengths], ["y", "last"], { hidden_size: 3 });
    lstm.output("y", "float32", null);
    lstm.output("last", "float32", null);
    const bytes = lstm.toBytes();
    expect(ops(convert(bytes).nodes)).toBe("Cast LSTM Cast Cast");
    const feeds = { x: noise([5, 2, 4]), lengths: new Tensor("int32", [5, 3], [2]) };
    expect(await lost(bytes, feeds)).toBeLessThan(1e-2);
  });

  it("opset 11 as well as 17", async () => {
    const bytes = afterMatMul((graph, y) => graph.node("Relu", [y], ["y"]), 11);
    expect(await lost(bytes, x)).toBeLessThan(1e-2);
  });
});

describe("weights out of range", () => {
  const scaled = (scale: number): ModelBytes =>
    afterMatMul((graph, y) =>
      graph.node("Mul", [y, graph.initializer("s", "float32", [1], Float32Array.of(scale))], ["y"]),
    );

  it("keep their node in float32; those of bfloat16 have room", async () => {
    expect(ops(convert(scaled(65504)).nodes)).toBe("Cast MatMul Mul Cast");
    expect(ops(convert(scaled(65520)).nodes)).toBe("Cast MatMul Cast Mul");
    expect(ops(convert(scaled(-1e30), { dtype: "bfloat16" }).nodes)).toBe("Cast MatMul Mul Cast");
    expect(await lost(scaled(1e30), x)).toBeLessThan(1e-2);
  });

  it("are no bound for Clip, whose node stays in 16 bits", async () => {
    const bytes = afterMatMul((graph, y) => {
      const low = graph.initializer("low", "float32", [], Float32Array.of(-0.25));
      const high = graph.initializer("high", "float32", [], Float32Array.of(3.4028234663852886e38));
      return graph.node("Clip", [y, low, high], ["y"]);
    });
    expect(ops(convert(bytes).nodes)).toBe("Cast MatMul Clip Cast");
    expect(await lost(bytes, x)).toBeLessThan(1e-2);
  });

  it("that nodes of both kinds use are there twice, else once", () => {
    const bytes = afterMatMul((graph, y) => {
      const sum = graph.node("Add", [y, "w"], ["sum"]);
      return graph.node("Add", [sum, graph.node("Softmax", ["w"], ["soft"])], ["y"]);
    });
    const { graph } = readModel(convert(bytes).bytes);
    expect(graph.initializers.map(({ name }) => name).toSorted()).toEqual(["w", "w_fp16"]);
    const once = readModel(convert(afterMatMul((graph2, y) => graph2.node("Relu", [y], ["y"]))).bytes);
    expect(once.graph.initializers.map(({ name }) => name)).toEqual(["w_fp16"]);
  });
});

describe("graphs within the graph", () => {
  it("If: branches use values and weights from outside", async () => {
    const branch = (name: string, last: string): GraphBuilder => {
      const graph = new GraphBuilder(name);
      const weight = graph.initializer(`${name}_w`, "float32", [8, 8], new Random(9).normals(64, 0.4));
      const own = graph.node("MatMul", ["product", weight], [`${name}_product`]);
      const again = graph.node("MatMul", [own, "w"], [`${name}_again`]);
      graph.output(graph.node(last, [again], [`${name}_y`]), "float32", null);
      return graph;
    };
    const bytes = afterMatMul((graph, y) => {
      const total = graph.node("ReduceSum", [y], ["total"], { keepdims: 0 });
      const zero = graph.initializer("zero", "float32", [], Float32Array.of(0));
      const positive = graph.node("Greater", [total, zero], ["positive"]);
      const branches = {
        then_branch: { graph: branch("then", "Relu") },
        else_branch: { graph: branch("else", "Softmax") },
      };
      return graph.node("If", [positive], ["y"], branches);
    });
    const { nodes } = convert(bytes);
    const inner = nodes.find(({ op }) => op === "If")!.attributes.flatMap(({ graphs }) => graphs);
    expect(inner.map(({ graph }) => ops(graph.nodes))).toEqual([
      "MatMul MatMul Relu Cast",
      "MatMul MatMul Cast Softmax",
    ]);
    for (const seed of [1, 2, 3, 4]) expect(await lost(bytes, { x: noise([3, 8], seed) })).toBeLessThan(1e-2);
  });

  it("Loop: what goes round is float32, the body is converted", async () => {
    const body = new GraphBuilder("body");
    body.input("i", "int64", []);
    body.input("go", "bool", []);
    const state = body.input("state", "float32", ["N", 8]);
    body.output(body.node("Identity", ["go"], ["go_on"]), "bool", []);
    body.output(body.node("Tanh", [body.node("MatMul", [state, "w"], ["next"])], ["state_out"]), "float32", [
      "N",
      8,
    ]);
    const bytes = afterMatMul((graph, y) => {
      const times = graph.initializer("times", "int64", [], new BigInt64Array([3n]));
      return graph.node("Loop", [times, "", y], ["y"], { body: { graph: body } });
    });
    const [inner] = convert(bytes)
      .nodes.find(({ op }) => op === "Loop")!
      .attributes.flatMap(({ graphs }) => graphs);
    expect(ops(inner.graph.nodes)).toBe("Identity Cast MatMul Tanh Cast");
    expect(await lost(bytes, x)).toBeLessThan(1e-2);
  });
});

describe("layers that are named", () => {
  const deep = (): ModelBytes =>
    afterMatMul((graph, y) => {
      const second = graph.node("MatMul", [graph.node("Relu", [y], ["relu"]), "w"], ["second"]);
      return graph.node("Softmax", [second], ["soft"]);
    });

  it("stay in float32, or run in 16 bits whatever the rules say", async () => {
    expect(ops(convert(deep(), { float32: ["second"] }).nodes)).toBe("Cast MatMul Relu Cast MatMul Softmax");
    expect(ops(convert(deep(), { half: ["soft"] }).nodes)).toBe("Cast MatMul Relu MatMul Softmax Cast");
    expect(await lost(deep(), x, { half: ["soft"] })).toBeLessThan(1e-2);
    expect(await lost(deep(), x, { float32: ["*"] })).toBe(0);
  });

  it("alone: no others do", () => {
    expect(ops(convert(deep(), { all: false, half: ["sec*d"] }).nodes)).toBe(
      "MatMul Relu Cast MatMul Cast Softmax",
    );
    expect(convert(deep(), { all: false, half: ["*"], float32: ["*o*"] }).count).toBe(1);
  });

  it.each([
    ["precision::fp32", { float32: ["third"] }, "the name of a node of the model, or of its output"],
    ["precision::fp16", { half: ["relu", "x.*"] }, "the name of a node of the model, or of its output"],
  ])("and are not there: %s %j", (field, lists, expected) => {
    expect(caught(ConfigError, () => convert(deep(), lists))).toMatchObject({ field, expected });
  });

  it("and cannot", () => {
    const bytes = afterMatMul((graph, y) => graph.node("Shape", [y], ["shape"]));
    const error = caught(ConfigError, () => convert(bytes, { half: ["shape"] }));
    expect(error).toMatchObject({ field: "precision::fp16", expected: "layers that can compute in fp16" });
    expect(error.message).toContain("its operator is Shape");
  });
});

it("bfloat16 needs opset 13", () => {
  const bytes = afterMatMul((graph, y) => graph.node("Relu", [y], ["y"]), 12);
  const error = caught(ConfigError, () => convert(bytes, { dtype: "bfloat16" }));
  expect(error.message).toContain("expected a model of opset 13 or later, or fp16, got");
});
