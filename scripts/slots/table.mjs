/** The product's table of slots, read from csrc/tensorrt_api.h, and which method each entry stands for. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, root } from "../run.mjs";

/** By entry: class and method in TensorRT's headers, and the end of the name in the Java bindings. */
export const methods = {
  runtime_deserialize: ["IRuntime", "deserializeCudaEngine", "__Lorg_bytedeco_javacpp_Pointer_2J"],
  runtime_allow_host_code: ["IRuntime", "setEngineHostCodeAllowed"],
  runtime_allows_host_code: ["IRuntime", "getEngineHostCodeAllowed"],
  engine_create_context: ["ICudaEngine", "createExecutionContext", "__I"],
  engine_profiles: ["ICudaEngine", "getNbOptimizationProfiles"],
  engine_inspector: ["ICudaEngine", "createEngineInspector"],
  engine_shape: ["ICudaEngine", "getTensorShape"],
  engine_type: ["ICudaEngine", "getTensorDataType"],
  engine_location: ["ICudaEngine", "getTensorLocation"],
  engine_mode: ["ICudaEngine", "getTensorIOMode"],
  engine_format: ["ICudaEngine", "getTensorFormat", "__Ljava_lang_String_2"],
  engine_profile_shape: ["ICudaEngine", "getProfileShape"],
  engine_tensors: ["ICudaEngine", "getNbIOTensors"],
  engine_tensor_name: ["ICudaEngine", "getIOTensorName"],
  engine_scratch: ["ICudaEngine", "getDeviceMemorySizeV2"],
  context_profile: ["IExecutionContext", "getOptimizationProfile"],
  context_set_profile: ["IExecutionContext", "setOptimizationProfileAsync"],
  context_set_shape: ["IExecutionContext", "setInputShape"],
  context_shape: ["IExecutionContext", "getTensorShape"],
  context_set_address: ["IExecutionContext", "setTensorAddress"],
  context_infer_shapes: ["IExecutionContext", "inferShapes"],
  context_set_output_allocator: ["IExecutionContext", "setOutputAllocator"],
  context_enqueue: ["IExecutionContext", "enqueueV3"],
  context_set_scratch: ["IExecutionContext", "setDeviceMemoryV2"],
  context_capturable: ["IExecutionContext", "isStreamCapturable"],
  builder_create_config: ["IBuilder", "createBuilderConfig"],
  builder_create_network: ["IBuilder", "createNetworkV2"],
  builder_create_profile: ["IBuilder", "createOptimizationProfile"],
  builder_build: ["IBuilder", "buildSerializedNetwork", "_IBuilderConfig_2"],
  config_clear_flag: ["IBuilderConfig", "clearFlag"],
  config_set_flag: ["IBuilderConfig", "setFlag"],
  config_add_profile: ["IBuilderConfig", "addOptimizationProfile"],
  config_set_limit: ["IBuilderConfig", "setMemoryPoolLimit"],
  config_limit: ["IBuilderConfig", "getMemoryPoolLimit"],
  config_set_level: ["IBuilderConfig", "setBuilderOptimizationLevel"],
  config_set_capabilities: ["IBuilderConfig", "setNbComputeCapabilities"],
  config_set_capability: ["IBuilderConfig", "setComputeCapability"],
  config_set_compatibility: ["IBuilderConfig", "setHardwareCompatibilityLevel"],
  config_create_timing: ["IBuilderConfig", "createTimingCache"],
  config_set_timing: ["IBuilderConfig", "setTimingCache"],
  config_set_monitor: ["IBuilderConfig", "setProgressMonitor"],
  timing_serialize: ["ITimingCache", "serialize"],
  network_inputs: ["INetworkDefinition", "getNbInputs"],
  network_input: ["INetworkDefinition", "getInput"],
  network_outputs: ["INetworkDefinition", "getNbOutputs"],
  tensor_name: ["ITensor", "getName"],
  tensor_shape: ["ITensor", "getDimensions"],
  tensor_is_shape: ["ITensor", "isShapeTensor"],
  profile_set_shape: ["IOptimizationProfile", "setDimensions"],
  profile_is_valid: ["IOptimizationProfile", "isValid"],
  plan_data: ["IHostMemory", "data"],
  plan_bytes: ["IHostMemory", "size"],
  inspector_engine: ["IEngineInspector", "getEngineInformation"],
  parser_parse: ["IParser", "parse"],
  parser_errors: ["IParser", "getNbErrors"],
  parser_error: ["IParser", "getError"],
  parser_delete: ["IParser", "~IParser"],
  error_description: ["IParserError", "desc"],
  error_node: ["IParserError", "node"],
  error_node_name: ["IParserError", "nodeName"],
  error_operator: ["IParserError", "nodeOperator"],
};

/** Rows `{ id, 10: [slot, first minor], 11: [slot, first minor], rtx: [slot, 0] }`; slot -1: not there. */
export function readTable() {
  const header = readFileSync(join(root, "csrc", "tensorrt_api.h"), "utf8");
  const start = header.indexOf("#define TP_TRT_SLOTS(X)");
  const text = header.slice(start, header.indexOf("\n\n", start)).replaceAll("\\\n", " ");
  const rows = [...text.matchAll(/X\((\w+),[^X]*?\),\s*(-?\d+),\s*(\d+),\s*(-?\d+),\s*(\d+),\s*(-?\d+)\)/g)];
  if (rows.length !== (text.match(/\bX\(/g) ?? []).length)
    throw new Failure("Cannot read the table of slots");
  for (const [, id] of rows)
    if (methods[id] === undefined) throw new Failure(`Cannot tell the method of ${id}`);
  return rows.map(([, id, ...numbers]) => {
    const [slot10, minor10, slot11, minor11, rtx] = numbers.map(Number);
    return { id, 10: [slot10, minor10], 11: [slot11, minor11], rtx: [rtx, 0] };
  });
}
