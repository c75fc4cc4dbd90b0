/** The cases of device-tensor.test.ts with TensorRT 11: a process can open one TensorRT. */

import process from "node:process";

process.env.TEST_FAMILY = "tensorrt11";
await import("./device-tensor.test.ts");
