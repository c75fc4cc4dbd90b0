"""mosec: bytes in, bytes out."""

from mosec import Server, Worker

import serve_model


class Infer(Worker):
    def __init__(self):
        super().__init__()
        self.session = serve_model.session()

    def deserialize(self, data):
        return serve_model.decode(data)

    def forward(self, data):
        return list(serve_model.run(self.session, data))

    def serialize(self, data):
        return data.tobytes()


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        Infer,
        num=serve_model.TASK["instanceNum"],
        max_batch_size=serve_model.TASK["max"],
        max_wait_time=serve_model.TASK["batchingTimeoutMs"],
    )
    server.run()
