/** Weights in other files: a model reaches only what lies beside it, wherever in the file it names it. */

import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { checkModelBytes, checkModelFile } from "../src/onnx/check.ts";
import type { CheckedModel } from "../src/onnx/check.ts";
import { MessageWriter } from "../src/onnx/wire-writer.ts";
import { externalDataModel, modelError as errorOf } from "./models.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-external-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);

describe("external data", () => {
  beforeAll(() => {
    mkdirSync(at("model/weights"), { recursive: true });
    mkdirSync(at("outside"));
    for (const name of ["model/w.bin", "model/weights/w.bin", "outside/w.bin", "model/twice.bin"]) {
      writeFileSync(at(name), new Uint8Array(24));
    }
    linkSync(at("model/twice.bin"), at("outside/twice.bin"));
    symlinkSync(at("outside/w.bin"), at("model/link.bin"));
    symlinkSync("w.bin", at("model/inner.bin"));
    symlinkSync("none.bin", at("model/dangling.bin"));
    symlinkSync(at("outside"), at("model/linked"));
    execFileSync("mkfifo", [at("model/pipe.bin")]);
  });

  const check = (location: string, offset?: number | bigint, length?: number | bigint): CheckedModel => {
    const range = {
      ...(offset === undefined ? {} : { offset }),
      ...(length === undefined ? {} : { length }),
    };
    writeFileSync(at("model/m.onnx"), externalDataModel({ location, ...range }));
    return checkModelFile(at("model/m.onnx"));
  };

  it.each([
    ["w.bin", 0],
    ["w.bin", 8],
    ["./w.bin", 8],
    ["weights/w.bin", 0],
    ["weights//w.bin", 0],
  ])("at %j from %d is accepted", (location, offset) => {
    expect(check(location, offset, 16).info.externalData).toMatchObject([{ name: "w", location }]);
  });

  it("is accepted when the model itself is reached through a link", () => {
    check("w.bin");
    symlinkSync(at("model"), at("linked-folder"));
    expect(checkModelFile(at("linked-folder/m.onnx")).info.externalData).toHaveLength(1);
  });

  it.each([
    ["../outside/w.bin", 'the path has ".."'],
    ["weights/../../outside/w.bin", 'the path has ".."'],
    ["..\\outside\\w.bin", 'the path has ".."'],
    ["/etc/passwd", "the path is absolute"],
    ["C:\\weights.bin", "the path is absolute"],
    ["", "the model gives no path"],
    ["w.bin\0.txt", "the path has a zero byte"],
    ["*/_ORT_MEM_ADDR_/*", "the path is a mark for memory, not a file"],
    ["link.bin", "it is, or lies behind, a symbolic link"],
    ["inner.bin", "it is, or lies behind, a symbolic link"],
    ["dangling.bin", "it is, or lies behind, a symbolic link"],
    ["linked/w.bin", "it is, or lies behind, a symbolic link"],
    ["twice.bin", "it has 2 names (hard links)"],
    ["none.bin", "there is no such file in the model's folder"],
    ["w.bin/more", "it cannot be read (ENOTDIR)"],
    ["pipe.bin", "it is not a regular file"],
    ["weights", "it is not a regular file"],
    [".", "it is not a regular file"],
  ])("at %j is refused", (location, problem) => {
    const error = errorOf(() => check(location));
    expect(error).toMatchObject({ stage: "parse", path: at("model/m.onnx") });
    expect(error.message).toBe(
      `Cannot use external data ${JSON.stringify(location)} of initializer "w": ${problem}`,
    );
  });

  it.each([
    [16, undefined, "the tensor ends at byte 32, the file at byte 24"],
    [0, 25, "the tensor ends at byte 25, the file at byte 24"],
    [9, 4, "the tensor ends at byte 25, the file at byte 24"],
    [2n ** 53n, undefined, 'expected an offset in bytes, got "9007199254740992"'],
    [2n ** 64n - 8n, 16, 'expected an offset in bytes, got "18446744073709551608"'],
    [-1, undefined, 'expected an offset in bytes, got "-1"'],
    [0, -16, 'expected a length in bytes, got "-16"'],
    [0, 1e300, 'expected a length in bytes, got "1e+300"'],
  ])("from %s with %s bytes is refused", (offset, length, problem) => {
    expect(errorOf(() => check("w.bin", offset, length)).message).toContain(`of initializer "w": ${problem}`);
  });

  it("is refused for a model that is given as bytes", () => {
    expect(errorOf(() => checkModelBytes(externalDataModel({ location: "w.bin" }))).message).toBe(
      `Cannot use the model's bytes: initializer "w" is in "w.bin", ` +
        "and external data needs a model given by its path",
    );
  });

  it.each(Object.entries(hidingPlaces()))("is found in %s", (_, model) => {
    writeFileSync(at("model/hidden.onnx"), model);
    const error = errorOf(() => checkModelFile(at("model/hidden.onnx")));
    expect(error.message).toBe(
      'Cannot use external data "/etc/passwd" of initializer "w": the path is absolute',
    );
  });
});

/** A message of fields that are messages themselves. */
function message(...fields: readonly (readonly [field: number, value: MessageWriter])[]): MessageWriter {
  const writer = new MessageWriter();
  for (const [field, value] of fields) writer.message(field, value);
  return writer;
}

/** Models that hold a tensor with external data in every place where the format has room for one. */
function hidingPlaces(): Readonly<Record<string, Uint8Array>> {
  const tensor = (): MessageWriter => {
    const location = new MessageWriter();
    location.text(1, "location");
    location.text(2, "/etc/passwd");
    const writer = message([13, location]);
    writer.text(8, "w");
    writer.integer(14, 1);
    return writer;
  };
  const inAttribute = (field: number, value: MessageWriter): MessageWriter =>
    message([5, message([field, value])]);
  const model = (field: number, value: MessageWriter): Uint8Array => {
    const writer = new MessageWriter();
    writer.integer(1, 8);
    if (field !== 7) writer.message(7, new MessageWriter());
    writer.message(field, value);
    return writer.toBytes();
  };
  const graph = (node: MessageWriter): MessageWriter => message([1, node]);
  return {
    "an initializer": model(7, message([5, tensor()])),
    "a sparse initializer's values": model(7, message([15, message([1, tensor()])])),
    "a sparse initializer's indices": model(7, message([15, message([2, tensor()])])),
    "an attribute": model(7, graph(inAttribute(5, tensor()))),
    "an attribute's list": model(7, graph(inAttribute(10, tensor()))),
    "an attribute's sparse tensor": model(7, graph(inAttribute(22, message([1, tensor()])))),
    "an attribute's list of sparse tensors": model(7, graph(inAttribute(23, message([2, tensor()])))),
    "a subgraph": model(7, graph(inAttribute(6, message([5, tensor()])))),
    "a list of subgraphs": model(7, graph(inAttribute(11, message([15, message([1, tensor()])])))),
    "a subgraph of a subgraph": model(
      7,
      graph(inAttribute(6, graph(inAttribute(6, message([5, tensor()]))))),
    ),
    "a function": model(25, message([7, inAttribute(5, tensor())])),
    "a training graph": model(20, message([1, message([5, tensor()])])),
    "a training step": model(20, message([2, graph(inAttribute(5, tensor()))])),
  };
}
