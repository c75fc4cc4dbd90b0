/** Files that cannot be opened, or are something other than a model: each is refused with its reason. */

import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Random } from "../examples/models/random.ts";
import { checkModelBytes, checkModelFile } from "../src/onnx/check.ts";
import { looksLike } from "../src/onnx/looks-like.ts";
import { MessageWriter } from "../src/onnx/wire-writer.ts";
import { identityModel, modelError as errorOf, sumAndProductModel } from "./models.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "trtpipe-check-"));
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);

describe("a model that cannot be opened", () => {
  const openError = (path: string): ReturnType<typeof errorOf> => {
    const error = errorOf(() => checkModelFile(path));
    expect(error).toMatchObject({ stage: "open", path, code: "TP_MODEL" });
    expect(error.message.startsWith(`Cannot open model ${JSON.stringify(path)}: `)).toBe(true);
    return error;
  };
  const reasonOf = (path: string): string => openError(path).message.split(": ").slice(1).join(": ");

  it("is missing", () => {
    expect(reasonOf(at("missing.onnx"))).toBe("no such file (ENOENT)");
    expect(openError(at("missing.onnx")).cause).toMatchObject({ code: "ENOENT" });
    const looked = JSON.stringify(join(process.cwd(), "missing.onnx"));
    expect(reasonOf("missing.onnx")).toBe(`no such file (ENOENT), looked for ${looked}`);
    expect(reasonOf("")).toContain("ENOENT");
  });

  it("has an impossible path", () => {
    writeFileSync(at("file"), "x");
    expect(reasonOf(at("file/model.onnx"))).toBe("a part of the path is not a directory (ENOTDIR)");
    expect(reasonOf(at("x".repeat(300)))).toBe("the name is too long (ENAMETOOLONG)");
    symlinkSync("loop", at("loop"));
    expect(reasonOf(at("loop"))).toBe("too many symbolic links (ELOOP)");
    openError("zero\0byte");
  });

  it("is a directory, a device, a pipe or a socket, and nothing waits for it", async () => {
    expect(reasonOf(folder)).toBe("it is a directory, not a file");
    expect(reasonOf("/dev/zero")).toBe("it is a device, not a file");
    execFileSync("mkfifo", [at("pipe")]);
    expect(reasonOf(at("pipe"))).toBe("it is a pipe (FIFO), not a file");
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(at("socket"), resolve));
    expect(reasonOf(at("socket"))).toBe("it is a socket, not a file");
    await new Promise((resolve) => void server.close(resolve));
  });

  it("may not be read", () => {
    writeFileSync(at("secret"), identityModel("float32"));
    chmodSync(at("secret"), 0);
    // Root may read anything, so it becomes nobody for the moment.
    const root = process.getuid?.() === 0;
    if (root) process.seteuid!(65_534);
    try {
      expect(reasonOf(at("secret"))).toBe("permission denied (EACCES)");
    } finally {
      if (root) process.seteuid!(0);
    }
  });

  it("is larger than a protobuf message can be", () => {
    writeFileSync(at("huge"), "");
    truncateSync(at("huge"), 2 ** 31);
    expect(reasonOf(at("huge"))).toMatch(/^it has 2147483648 bytes, and an ONNX file ends at 2147483647; /);
  });
});

describe("a file that is not a model", () => {
  const text = (content: string): Uint8Array => Buffer.from(content, "latin1");
  const kinds: readonly (readonly [likeness: RegExp, bytes: Uint8Array])[] = [
    [/^an empty file$/, text("")],
    [/^a file of zero bytes/, new Uint8Array(5000)],
    [/^a file of zero bytes/, new Uint8Array(1)],
    [/^an HTML page/, text("<!DOCTYPE html>\n<html><head><title>404</title></head></html>")],
    [/^an HTML page/, text("\n  <HTML lang=en>")],
    [/^an XML document/, text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>')],
    [/^a git-LFS pointer/, text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")],
    [/^JSON text/, text('{\n  "error": "not found"}')],
    [/^JSON text/, text("{}")],
    [/^JSON text/, text("\xef\xbb\xbf[\n 1, [2, 3]]")],
    [/^plain text/, text("404: Not Found")],
    [/^a zip archive/, text("PK\x03\x04\x14\0\0\0\x08\0")],
    [/^a TensorRT engine/, text("ftrt\0\0\0\0\x01\xe8")],
    [/^a TensorRT engine/, text("ptrt\0\0\0\0\x01\xe8")],
    [/^an ONNX Runtime model/, text("\x18\0\0\0ORTM\0\0")],
    [/^a TensorFlow Lite model/, text("\x1c\0\0\0TFL3\0\0")],
    [/^a GGUF model/, text("GGUF\x03\0\0\0")],
    [/^a safetensors file/, text('\x40\0\0\0\0\0\0\0{"__metadata__":{}}')],
    [/^a Python pickle/, text("\x80\x02\x8a\nl\xfc")],
    [/^an HDF5 file/, text("\x89HDF\r\n\x1a\n")],
    [/^a gzip archive/, text("\x1f\x8b\x08\0\0")],
    [/^a compressed archive/, text("\x28\xb5\x2f\xfd\x04")],
    [/^a tar archive/, text(`model.onnx${"\0".repeat(247)}ustar\x0000`)],
    [/^an executable or library/, text("\x7fELF\x02\x01\x01")],
    [/^nothing$/, text("\xff\xfe\xfd\xfc random")],
    [/^nothing$/, identityModel("float32")],
  ];

  it.each(kinds)("looksLike() knows %s", (likeness, bytes) => {
    expect(looksLike(bytes) ?? "nothing").toMatch(likeness);
  });

  it.each(kinds.filter(([likeness]) => !likeness.test("nothing")))(
    "is refused as %s, with its size",
    (_, bytes) => {
      writeFileSync(at("other"), bytes);
      const error = errorOf(() => checkModelFile(at("other")));
      const start = `Cannot parse model ${JSON.stringify(at("other"))} (${bytes.length} bytes)`;
      expect(error).toMatchObject({ stage: "parse", path: at("other") });
      expect(error.message).toBe(`${start}: it looks like ${looksLike(bytes)}`);
      expect(errorOf(() => checkModelBytes(bytes)).message).toBe(
        `Cannot parse the model's bytes (${bytes.length} bytes): it looks like ${looksLike(bytes)}`,
      );
    },
  );

  it("is refused with its first bytes where it looks like nothing known", () => {
    const random = new Random(3);
    const noise = Uint8Array.from({ length: 100_000 }, () => random.integer(256));
    noise[0] = 0xff;
    const error = errorOf(() => checkModelBytes(noise));
    const start = Buffer.from(noise.subarray(0, 8))
      .toString("hex")
      .replace(/..(?=.)/g, "$& ");
    expect(error.message).toContain(`(100000 bytes): it is not an ONNX model: it begins with ${start}, and `);
  });

  it("is refused when it is protobuf, but of something else", () => {
    const other = new MessageWriter();
    other.integer(1, 7);
    other.text(2, "x");
    expect(errorOf(() => checkModelBytes(other.toBytes())).message).toContain("damaged: it has no graph");
    const unversioned = new MessageWriter();
    unversioned.message(7, new MessageWriter());
    expect(errorOf(() => checkModelBytes(unversioned.toBytes())).message).toContain("no format version");
  });

  it("is read from shared memory as from any other", () => {
    const bytes = sumAndProductModel();
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    expect(checkModelBytes(shared)).toEqual(checkModelBytes(bytes));
    expect(looksLike(new Uint8Array(new SharedArrayBuffer(4)))).toMatch(/zero bytes/);
  });
});
