/** The cases of device-tensor.test.ts with TensorRT 11: a process can open one TensorRT. */

process.env.TEST_FAMILY = "tensorrt11";
await import("./device-tensor.test.ts");

export {};
