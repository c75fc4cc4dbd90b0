"""TorchPipe's own scheduler (PyPI omniback) around ONNX Runtime in Python; the clients are Python threads.

Takes its task as JSON in the last argument and prints one JSON line, like the other contenders.
"""

import json
import os
import resource
import sys
import threading
import time

import numpy
import omniback
import onnxruntime

TASK = json.loads(sys.argv[-1])
MODEL = TASK["description"]
ITEMS = TASK["items"]
TOLERANCE = TASK["tolerance"]


def read_rows(suffix, dtype, item):
    values = numpy.fromfile(f"{TASK['data']}/{MODEL['name']}.{suffix}", dtype=dtype)
    return values.reshape([ITEMS, *item])


def new_session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = TASK["intraOpThreads"]
    return onnxruntime.InferenceSession(MODEL["path"], options, providers=["CPUExecutionProvider"])


INPUTS = read_rows("in", MODEL["dtype"], MODEL["itemShape"])
EXPECTED = read_rows("out", "float32", [MODEL["outputLength"]])
CHECKED = MODEL["checked"]
SHARED_SESSION = new_session()
answers = [None] * TASK["clients"]
asked = [0] * TASK["clients"]
counters = {"batches": 0, "rows": 0}


class OrtNode:
    """What omniback schedules: joins the inputs of a batch, runs it, leaves each client its answer."""

    def init(self, params, options):
        pass

    def max(self):
        return TASK["max"]

    def min(self):
        return 1

    def forward(self, requests):
        counters["batches"] += 1
        counters["rows"] += len(requests)
        clients = [request["data"] for request in requests]
        rows = [INPUTS[asked[client]] for client in clients]
        batch = numpy.stack(rows) if len(rows) > 1 else rows[0][None]
        outputs = SHARED_SESSION.run(None, {MODEL["input"]: batch})[0]
        for client, request, output in zip(clients, requests, outputs):
            answers[client] = output
            request["result"] = 1


def right(client):
    difference = numpy.abs(answers[client][CHECKED] - EXPECTED[asked[client]][CHECKED])
    return bool((difference <= TOLERANCE).all())


class Clients:
    def __init__(self, pipe, start, stop):
        self.pipe, self.start, self.stop = pipe, start, stop
        self.latencies = [[] for _ in range(TASK["clients"])]
        self.wrong = [0] * TASK["clients"]

    def run(self, client):
        turn = 0
        while True:
            begun = time.perf_counter()
            if begun >= self.stop:
                return
            asked[client] = (client + turn) % ITEMS
            answers[client] = None
            self.pipe({"data": client})
            ended = time.perf_counter()
            if answers[client] is None or not right(client):
                self.wrong[client] += 1
            if self.start <= ended < self.stop:
                self.latencies[client].append(ended - begun)
            turn += 1


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_resident_mb():
    """Peak of this process alone: getrusage's also counts the process that started it."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    omniback.register("OrtNode", OrtNode)
    node = {
        "backend": "OrtNode",
        "instance_num": str(TASK["instanceNum"]),
        "batching_timeout": str(TASK["batchingTimeoutMs"]),
        "max": str(TASK["max"]),
    }
    pipe = omniback.pipe({"model": node})
    start = time.perf_counter() + TASK["warmUpMs"] / 1000
    stop = start + TASK["measureMs"] / 1000
    clients = Clients(pipe, start, stop)
    threads = [threading.Thread(target=clients.run, args=(i,), daemon=True) for i in range(TASK["clients"])]
    for thread in threads:
        thread.start()
    time.sleep(max(0, start - time.perf_counter()))
    cpu, before = cpu_seconds(), dict(counters)
    time.sleep(max(0, stop - time.perf_counter()))
    cpu, after = cpu_seconds() - cpu, dict(counters)
    for thread in threads:
        thread.join(10)
    print_result(clients, cpu, before, after)
    sys.stdout.flush()
    os._exit(0)  # omniback's threads do not end by themselves


def print_result(clients, cpu, before, after):
    latencies = numpy.sort([value for each in clients.latencies for value in each])
    count = len(latencies)
    if count == 0:
        sys.exit("error: no answer came within the window")
    result = {
        "cell": "all",
        "requests": count,
        "wrong": sum(clients.wrong),
        "requests_per_s": count / (TASK["measureMs"] / 1000),
        "p50_us": latencies[int(count * 0.5)] * 1e6,
        "p99_us": latencies[int(count * 0.99)] * 1e6,
        "loop_delay_p50_ms": None,
        "loop_delay_p99_ms": None,
        "loop_delay_max_ms": None,
        "rss_mb": peak_resident_mb(),
        "mean_batch": (after["rows"] - before["rows"]) / max(1, after["batches"] - before["batches"]),
        "cpu_us_per_request": cpu * 1e6 / count,
        "cpu_cores": cpu / (TASK["measureMs"] / 1000),
    }
    print(json.dumps(result))


main()
