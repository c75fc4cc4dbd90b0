/** Writes the models that the real clients ask, and their configuration: `models.ts FOLDER`. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { carriedDtypes, identityModel, sumAndProductModel } from "../models.ts";

const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
const tables = ['max = 4\ninstance_num = "2"'];
for (const dtype of carriedDtypes) {
  writeFileSync(join(folder, `${dtype}.onnx`), identityModel(dtype));
  tables.push(`[same_${dtype}]\nmodel = "${dtype}.onnx"`);
}
writeFileSync(join(folder, "pair.onnx"), sumAndProductModel());
tables.push('[pair]\nmodel = "pair.onnx"');
writeFileSync(join(folder, "big.onnx"), identityModel("float32", [65_536]));
tables.push('[big]\nmodel = "big.onnx"\nmax_queue = 160');
tables.push('[slow]\nbackend = "(shape=4)Fault"\ninstance_num = 1\nmax = 1');
writeFileSync(join(folder, "models.toml"), `${tables.join("\n\n")}\n`);
