/** The same over gRPC, by grpc-js: a channel of its own for each client. */

import { loadPackageDefinition, credentials } from "@grpc/grpc-js";
import type { Client, GrpcObject, ServiceClientConstructor } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { Inference } from "../models/target.ts";
import type { Item, ModelData } from "../models/data.ts";

interface InferResponse {
  raw_output_contents: Buffer[];
}

type InferClient = Client & {
  ModelInfer(request: object, done: (error: Error | null, answer: InferResponse) => void): void;
};

/** One connection; `output` reads its answers. */
export function openGrpc(port: number, model: ModelData): Inference<InferResponse> {
  const definition = loadSync("proto/inference.proto", { keepCase: true, longs: Number });
  const { GRPCInferenceService: Service } = loadPackageDefinition(definition).inference as GrpcObject & {
    GRPCInferenceService: ServiceClientConstructor;
  };
  const options = {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  };
  const client = new Service(
    `127.0.0.1:${port}`,
    credentials.createInsecure(),
    options,
  ) as unknown as InferClient;
  const request = (item: Item): object => ({
    model_name: model.name,
    inputs: [
      {
        name: model.input,
        datatype: model.dtype === "int32" ? "INT32" : "FP32",
        shape: [1, ...model.itemShape],
      },
    ],
    raw_input_contents: [Buffer.from(item.buffer, item.byteOffset, item.byteLength)],
  });
  return {
    send: (item) =>
      new Promise((resolve, reject) => {
        client.ModelInfer(request(item), (error, answer) => (error ? reject(error) : resolve(answer)));
      }),
    output: ({ raw_output_contents: [bytes] }) =>
      new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)),
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}
