/** `trtpipe doctor`, over the fakes, in the runtime that runs the tests. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bindingOfThisRuntime, thisRuntime } from "../native/this-runtime.ts";
import { runChild, type Ended } from "../support/child.ts";
import { libraries } from "../support/tensorrt.ts";
import { root } from "../tidy/sources.ts";

const cuda = join(root, "build", "fault", "fake", "libcuda.so.1");
const nowhere = "/no/such/library.so";

const doctor = (env: Record<string, string>, ...args: string[]): Promise<Ended> =>
  runChild("dist/cli.js", { args: ["doctor", ...args], env });

async function report(env: Record<string, string>, ...args: string[]): Promise<[number | null, unknown]> {
  const { code, lines } = await doctor(env, "--json", ...args);
  return [code, JSON.parse(lines.join("\n"))];
}

describe("trtpipe doctor", () => {
  it("says with --cpu that models run on the CPU, and looks for nothing else", async () => {
    const [code, found] = await report({}, "--cpu");
    expect(code).toBe(0);
    expect(found).toMatchObject({
      ok: true,
      library: { binding: bindingOfThisRuntime, runtime: expect.stringContaining(thisRuntime) as string },
      onnxruntime: { version: expect.stringMatching(/^1\./) as string },
      cuda: null,
      tensorrt: null,
      can: { runOnCpu: true },
      advice: [],
    });
  });

  it("ends with 1 where ONNX Runtime is missing, and says how to get it", async () => {
    const { code, lines } = await doctor({ TRTPIPE_ONNXRUNTIME: nowhere }, "--cpu");
    expect(code).toBe(1);
    const text = lines.join("\n");
    expect(text).toMatch(/^missing +ONNX Runtime +.*\/no\/such\/library\.so/m);
    expect(text).toMatch(/^ {2}onnxruntime: npm install onnxruntime-node/m);
    expect(text).toContain("Models on the CPU with ONNX Runtime: no");
  });

  it("ends with 1 without a GPU, and says that the CPU works", async () => {
    const { code, lines } = await doctor({ TRTPIPE_CUDA: nowhere, TRTPIPE_TENSORRT: nowhere });
    expect(code).toBe(1);
    const text = lines.join("\n");
    expect(text).toMatch(/^missing +CUDA +no CUDA driver/m);
    expect(text).toMatch(/^missing +TensorRT +no TensorRT library/m);
    expect(text).toContain("Models on the CPU with ONNX Runtime: yes");
    expect(text).toContain(
      "Models on the GPU with TensorRT: no (trtpipe doctor --cpu asks for the CPU alone)",
    );
  });

  it.each([
    ["tensorrt10", "TensorRT 10", "TensorRT 10.15.1"],
    ["tensorrt11", "TensorRT 11", "TensorRT 11.2.1"],
    ["rtx", "TensorRT for RTX 1.7", "TensorRT for RTX 1.7.1"],
  ] as const)("starts %s on the device, and names its table", async (family, slotTable, version) => {
    expect(existsSync(cuda)).toBe(true);
    const [code, found] = await report({ TRTPIPE_CUDA: cuda, TRTPIPE_TENSORRT: libraries[family] });
    expect(code).toBe(0);
    expect(found).toMatchObject({
      ok: true,
      cuda: { version: "13.0", devices: [{ name: "Fake GPU 0", computeCapability: "9.0" }, { device: 1 }] },
      tensorrt: {
        version,
        slotTable,
        parser: { path: expect.stringContaining("parser") as string },
        runtime: { device: "Fake GPU 0" },
      },
      // The fakes have no kernels; only RTX needs none.
      can: { runOnGpu: true, buildEngines: family === "rtx" },
    });
  });

  it("tells of a driver that crashes", async () => {
    const env = { TRTPIPE_CUDA: cuda, FAKE_CUDA_FAIL: "cuInit:1:-1", TRTPIPE_TENSORRT: libraries.tensorrt10 };
    const [code, found] = await report(env);
    expect(code).toBe(1);
    const crashed = {
      missing: expect.stringMatching(/ended with signal SIGABRT: .*ordered to end/) as string,
    };
    expect(found).toMatchObject({ cuda: crashed, tensorrt: crashed, can: { runOnCpu: true } });
  });

  it("tells of a library of another version", async () => {
    const env = { TRTPIPE_CUDA: cuda, TRTPIPE_TENSORRT: libraries.tensorrt10, FAKE_TRT_VERSION: "120000" };
    const [code, found] = await report(env);
    expect(code).toBe(1);
    expect(found).toMatchObject({
      tensorrt: { missing: expect.stringMatching(/TensorRT 12\.0\.0; 10, 11 or .* is needed/) as string },
    });
  });

  it("tells of a C library that does not load", async () => {
    const { code, lines } = await doctor({ TRTPIPE_LIB: nowhere }, "--cpu");
    expect(code).toBe(1);
    expect(lines.join("\n")).toMatch(/^missing +trtpipe +.*ended with status 1: .*TRTPIPE_LIB/m);
  });
});
