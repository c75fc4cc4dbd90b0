"""LitServe: base64 in JSON in, because it takes no bytes, and bytes out."""

import base64

import litserve
import numpy as np
from fastapi import Response

import serve_model


class Api(litserve.LitAPI):
    def setup(self, device):
        self.session = serve_model.session()

    def decode_request(self, request):
        return serve_model.decode(base64.b64decode(request["d"]))

    def batch(self, inputs):
        return inputs

    def predict(self, inputs):
        return serve_model.run(self.session, inputs)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return Response(content=np.ascontiguousarray(output).tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    task = serve_model.TASK
    api = Api(max_batch_size=task["max"], batch_timeout=task["batchingTimeoutMs"] / 1000)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=task["instanceNum"])
    server.run(host="127.0.0.1", port=serve_model.PORT, generate_client_file=False, log_level="warning")
