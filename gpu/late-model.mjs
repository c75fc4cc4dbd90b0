/**
 * `npx tsx gpu/late-model.mjs FILE` writes a model whose output's size only its data decide: NonZero of 64 MB
 * of float32, up to 402 MB of int64. For the case `run` of faults.c.
 */

import process from "node:process";
import { writeFileSync } from "node:fs";
import { GraphBuilder } from "../src/onnx/graph-builder.ts";

const graph = new GraphBuilder("late");
const x = graph.input("x", "float32", [16, 1024, 1024]);
graph.output(graph.node("NonZero", [x], ["y"]), "int64", [3, "n"]);
writeFileSync(process.argv[2], graph.toBytes());
