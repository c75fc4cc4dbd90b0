/** The cases of device-tensor.test.ts with TensorRT for RTX: a process can open one TensorRT. */

process.env.TEST_FAMILY = "rtx";
await import("./device-tensor.test.ts");

export {};
