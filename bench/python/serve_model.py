"""What the Python servers share: the model as the bench describes it, and a session."""

import json
import os

import numpy as np

TASK = json.loads(os.environ["BENCH_TASK"])
PORT = int(os.environ["BENCH_PORT"])
MODEL = TASK["description"]
DTYPE = np.dtype(MODEL["dtype"])
SHAPE = tuple(MODEL["itemShape"])


def session():
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = TASK["intraOpThreads"]
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(MODEL["path"], options, providers=["CPUExecutionProvider"])


def run(opened, items):
    """Rows of outputs for a list of inputs."""
    return opened.run([MODEL["output"]], {MODEL["input"]: np.stack(items)})[0]


def decode(data):
    return np.frombuffer(data, DTYPE).reshape(SHAPE)
