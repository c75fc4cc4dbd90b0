/** The cases of device-tensor.test.ts with TensorRT for RTX: a process can open one TensorRT. */

import process from "node:process";

process.env.TEST_FAMILY = "rtx";
await import("./device-tensor.test.ts");
