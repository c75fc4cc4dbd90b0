"""The real clients of the protocol against one server: a line for each check, `ok NAME` or `FAILED NAME: why`.

client.py HTTP_ADDRESS GRPC_ADDRESS [--kserve | --kserve-alone]
"""

import asyncio
import queue
import subprocess
import sys
import threading
import time
import urllib.request

import ml_dtypes
import numpy as np

HTTP, GRPC = sys.argv[1], sys.argv[2]
DTYPES = {
    "float32": ("FP32", np.float32),
    "float64": ("FP64", np.float64),
    "float16": ("FP16", np.float16),
    "int8": ("INT8", np.int8),
    "uint8": ("UINT8", np.uint8),
    "int16": ("INT16", np.int16),
    "uint16": ("UINT16", np.uint16),
    "int32": ("INT32", np.int32),
    "uint32": ("UINT32", np.uint32),
    "int64": ("INT64", np.int64),
    "uint64": ("UINT64", np.uint64),
    "bool": ("BOOL", np.bool_),
    "bfloat16": ("BF16", ml_dtypes.bfloat16),
}
failed = 0


def check(name, run):
    global failed
    try:
        run()
        print(f"ok {name}", flush=True)
    except Exception as error:
        failed += 1
        print(f"FAILED {name}: {type(error).__name__}: {str(error)[:300]}", flush=True)


def equal(got, expected):
    if not np.array_equal(np.asarray(got), np.asarray(expected)):
        raise AssertionError(f"expected {expected!r}, got {got!r}")


def raises(run, status):
    try:
        run()
    except Exception as error:
        if status not in str(getattr(error, "status", lambda: "")()):
            raise AssertionError(f"expected {status}, got {error}") from error
        return str(error)
    raise AssertionError(f"expected {status}, got an answer")


def values(dtype):
    if dtype == "bool":
        return np.array([[True, False, True, True]] * 3)
    return np.arange(12).reshape(3, 4).astype(DTYPES[dtype][1])


def tensor(module, name, datatype, array, **how):
    one = module.InferInput(name, list(array.shape), datatype)
    one.set_data_from_numpy(array, **how)
    return one


def describe(name, client):
    def run():
        assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("pair")
        assert not client.is_model_ready("pair", "7")
        metadata = client.get_server_metadata()
        server = metadata["name"] if name == "http" else metadata.name
        assert server == "trtpipe", server
        model = client.get_model_metadata("pair")
        inputs = model["inputs"] if name == "http" else model.inputs
        assert len(inputs) == 2, inputs
        config = client.get_model_config("pair")
        batch = config["max_batch_size"] if name == "http" else config.config.max_batch_size
        assert batch == 4, batch
        stats = client.get_inference_statistics("pair")
        assert len(stats["model_stats"] if name == "http" else stats.model_stats) == 1
        index = client.get_model_repository_index()
        assert len(index if name == "http" else index.models) == len(DTYPES) + 3

    check(f"{name}: live, ready, metadata, config, statistics, index", run)


def every_dtype(name, module, client):
    for dtype, (datatype, _) in DTYPES.items():
        array = values(dtype)
        for binary in [True, False] if name == "http" else [True]:
            # The client itself has no JSON for these.
            if not binary and dtype in ("float16", "bfloat16"):
                continue

            def run():
                how = {"binary_data": binary} if name == "http" else {}
                outputs = [module.InferRequestedOutput("y", **how)]
                given = tensor(module, "x", datatype, array, **how)
                result = client.infer(f"same_{dtype}", [given], outputs=outputs, request_id="7")
                equal(result.as_numpy("y"), array)

            check(f"{name}: {dtype}, {'binary' if binary else 'JSON'}", run)


def several(name, module, client):
    a, b = np.ones((2, 4), np.float32) * 3, np.ones((2, 4), np.float32) * 4
    inputs = [tensor(module, "b", "FP32", b), tensor(module, "a", "FP32", a)]

    def run():
        result = client.infer("pair", inputs)
        equal(result.as_numpy("sum"), a + b)
        equal(result.as_numpy("product"), a * b)

    check(f"{name}: two inputs, two outputs", run)

    def big():
        rows = np.random.rand(500, 4).astype(np.float32)
        given = [tensor(module, "a", "FP32", rows), tensor(module, "b", "FP32", rows)]
        equal(client.infer("pair", given).as_numpy("sum"), rows + rows)

    check(f"{name}: more rows than a batch has", big)

    def megabytes():
        array = np.random.rand(150, 65536).astype(np.float32)
        equal(client.infer("big", [tensor(module, "x", "FP32", array)]).as_numpy("y"), array)

    check(f"{name}: 38 MB there and back", megabytes)
    for algorithm in ("gzip", "deflate"):

        def run():
            how = {"compression_algorithm": algorithm}
            if name == "http":
                how = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
            equal(client.infer("pair", inputs, **how).as_numpy("sum"), a + b)

        check(f"{name}: {algorithm}", run)


def errors(name, module, client):
    ones = np.ones((1, 4), np.float32)
    x = [tensor(module, "x", "FP32", ones)]
    text = [module.InferInput("x", [1, 4], "BYTES")]
    text[0].set_data_from_numpy(np.array([["a", "b", "c", "d"]], dtype=object))
    wrong, missing = ("400", "404") if name == "http" else ("INVALID_ARGUMENT", "NOT_FOUND")
    late = "504" if name == "http" else "DEADLINE_EXCEEDED"
    check(f"{name}: no such model", lambda: raises(lambda: client.infer("nope", x), missing))
    check(f"{name}: another dtype", lambda: raises(lambda: client.infer("same_int8", x), wrong))
    check(f"{name}: a missing input", lambda: raises(lambda: client.infer("pair", x), wrong))

    def bytes_tensor():
        assert 'input "x": BYTES' in raises(lambda: client.infer("same_float32", text), wrong)

    check(f"{name}: BYTES", bytes_tensor)

    def timeout():
        slow = sleeping(module, 600)
        thread = threading.Thread(target=lambda: new(name, module).infer("slow", [slow]))
        thread.start()
        time.sleep(0.2)
        start = time.monotonic()
        raises(lambda: client.infer("slow", [sleeping(module, 0)], timeout=100_000), late)
        assert time.monotonic() - start < 0.35
        thread.join()

    check(f"{name}: timeout in microseconds", timeout)


def sleeping(module, ms):
    return tensor(module, "input", "FP32", np.array([[1, ms, 0, 0]], np.float32))


def new(name, module):
    return module.InferenceServerClient(HTTP if name == "http" else GRPC)


def asynchronous(module, client):
    def run():
        pending = [client.async_infer("same_int32", [tensor(module, "x", "INT32", values("int32") + i)]) for i in range(50)]
        for i, one in enumerate(pending):
            equal(one.get_result().as_numpy("y"), values("int32") + i)

    check("http: 50 requests at once", run)


def streaming(module, client):
    def run():
        answers = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        for i in range(200):
            client.async_stream_infer("same_int32", [tensor(module, "x", "INT32", values("int32") + i)], request_id=str(i))
        client.async_stream_infer("nope", [tensor(module, "x", "INT32", values("int32"))])
        client.async_stream_infer("same_int32", [tensor(module, "x", "INT32", values("int32"))], request_id="last")
        for i in range(200):
            result, error = answers.get(timeout=10)
            assert error is None, error
            assert result.get_response().id == str(i)
            equal(result.as_numpy("y"), values("int32") + i)
        assert "nope" in str(answers.get(timeout=10)[1])
        assert answers.get(timeout=10)[0].get_response().id == "last"
        client.stop_stream()

    check("grpc: a stream, in order, past a failure", run)

    def cancel():
        done = queue.Queue()
        blocker = client.async_infer("slow", [sleeping(module, 1500)], lambda result, error: done.put(error))
        time.sleep(0.1)
        call = client.async_infer("slow", [sleeping(module, 0)], lambda result, error: done.put(error))
        until(lambda: rows_in_flight("slow") == 2)
        call.cancel()
        assert "CANCELLED" in str(done.get(timeout=5))
        until(lambda: rows_in_flight("slow") <= 1)
        assert done.get(timeout=5) is None
        del blocker

    check("grpc: cancel frees its place", cancel)

    def deadline():
        start = time.monotonic()
        raises(lambda: client.infer("slow", [sleeping(module, 2500)], client_timeout=0.2), "DEADLINE_EXCEEDED")
        # Long before its engine is done, also where other programs keep this machine busy.
        took = time.monotonic() - start
        assert took < 1.5, f"it took {took:.2f} s"
        until(lambda: rows_in_flight("slow") == 0)

    check("grpc: deadline", deadline)


def until(holds):
    for _ in range(250):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to that within 5 seconds")


def metrics():
    with urllib.request.urlopen(f"http://{HTTP}/metrics") as answer:
        return answer.read().decode()


def rows_in_flight(model):
    line = next(one for one in metrics().split("\n") if one.startswith(f'trtpipe_queue_rows{{model="{model}"'))
    return int(float(line.split(" ")[-1]))


def prometheus():
    from prometheus_client.parser import text_string_to_metric_families

    families = {one.name: one for one in text_string_to_metric_families(metrics())}
    for name in ("trtpipe_requests", "trtpipe_request_duration_seconds", "trtpipe_batches", "trtpipe_batch_rows"):
        assert families[name].samples, name
    ok = [s for s in families["trtpipe_requests"].samples if s.labels["outcome"] == "ok"]
    assert {s.labels["protocol"] for s in ok} == {"http", "grpc"}, ok
    for one in families.values():
        assert one.documentation and one.type in ("counter", "gauge", "histogram"), one.name
        if one.type == "histogram":
            last = [s for s in one.samples if s.name.endswith("_bucket") and s.labels["le"] == "+Inf"]
            counts = [s for s in one.samples if s.name.endswith("_count")]
            assert [s.value for s in last] == [s.value for s in counts], one.name


async def until_async(holds):
    for _ in range(250):
        if await asyncio.to_thread(holds):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that within 5 seconds")


async def asyncio_clients():
    import tritonclient.grpc.aio as grpc_aio
    import tritonclient.http.aio as http_aio

    for name, module, address in (("http", http_aio, HTTP), ("grpc", grpc_aio, GRPC)):
        async with module.InferenceServerClient(address) as client:
            try:
                assert await client.is_server_ready() and await client.is_model_ready("pair")
                inputs = [[tensor(module, "x", "FP32", values("float32") + i)] for i in range(100)]
                results = await asyncio.gather(*(client.infer("same_float32", one) for one in inputs))
                for i, result in enumerate(results):
                    equal(result.as_numpy("y"), values("float32") + i)
                try:
                    await client.infer("nope", inputs[0])
                    raise AssertionError("expected an error")
                except module.InferenceServerException if hasattr(module, "InferenceServerException") else Exception as error:
                    assert "nope" in str(error), error
                task = asyncio.ensure_future(client.infer("slow", [sleeping(module, 1500)]))
                await asyncio.sleep(0.1)
                waiting = asyncio.ensure_future(client.infer("slow", [sleeping(module, 0)]))
                await until_async(lambda: rows_in_flight("slow") == 2)
                waiting.cancel()
                await until_async(lambda: rows_in_flight("slow") <= 1)
                await task
                print(f"ok {name}: asyncio, 100 at once, an error, a cancelled request", flush=True)
            except Exception as error:
                global failed
                failed += 1
                print(f"FAILED {name}: asyncio: {type(error).__name__}: {str(error)[:300]}", flush=True)


def same_protocol():
    """Every message of our file has the fields, numbers and types of Triton's."""
    import os
    import tempfile

    from google.protobuf import descriptor_pb2
    from grpc_tools import protoc
    from tritonclient.grpc import model_config_pb2, service_pb2

    root = os.path.join(os.path.dirname(__file__), "..", "..", "proto")
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "set")
        assert protoc.main(["", f"-I{root}", f"--descriptor_set_out={out}", "inference.proto"]) == 0
        with open(out, "rb") as file:
            ours = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file[0]
    theirs = {}
    for module in (service_pb2, model_config_pb2):
        known = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(known)
        theirs.update({message.name: message for message in known.message_type})
        theirs.update({one.name: one for one in known.enum_type})
        methods = {one.name: one for service in known.service for one in service.method}
        if methods:
            for method in ours.service[0].method:
                other = methods[method.name]
                keys = ("input_type", "output_type", "client_streaming", "server_streaming")
                assert all(getattr(method, key) == getattr(other, key) for key in keys), method.name

    def compare(mine, other, path):
        fields = {field.name: field for field in other.field}
        for field in mine.field:
            match = fields[field.name]
            same = all(getattr(field, key) == getattr(match, key) for key in ("number", "type", "label", "type_name"))
            assert same, f"{path}.{field.name}"
        nested = {one.name: one for one in other.nested_type}
        for one in mine.nested_type:
            compare(one, nested[one.name], f"{path}.{one.name}")

    for message in ours.message_type:
        compare(message, theirs[message.name], message.name)
    for enum in ours.enum_type:
        values_of = {one.name: one.number for one in theirs[enum.name].value}
        assert {one.name: one.number for one in enum.value} == values_of, enum.name


def kserve():
    """In a process of its own: Triton's and KServe's clients both register the messages of the protocol."""
    process = subprocess.run([sys.executable, __file__, HTTP, GRPC, "--kserve-alone"], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-300:]


def kserve_alone():
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
    from kserve.inference_client import RESTConfig

    async def run():
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        given = InferInput("x", [3, 4], "FP32")
        given.set_data_from_numpy(values("float32"), binary_data=True)
        url = f"http://{HTTP}"
        assert await client.is_server_ready(url) and await client.is_model_ready(url, "same_float32")
        answer = await client.infer(url, InferRequest("same_float32", [given]), model_name="same_float32")
        equal(answer.outputs[0].as_numpy(), values("float32"))
        grpc = InferenceGRPCClient(GRPC)
        assert await grpc.is_server_ready() and await grpc.is_model_ready("same_float32")
        answer = await grpc.infer(InferRequest("same_float32", [given]))
        equal(answer.outputs[0].as_numpy(), values("float32"))
        await grpc.close()

    asyncio.run(run())


def main():
    import tritonclient.grpc as grpc_client
    import tritonclient.http as http_client

    http = http_client.InferenceServerClient(HTTP, concurrency=16)
    grpc = grpc_client.InferenceServerClient(GRPC)
    for name, module, client in (("http", http_client, http), ("grpc", grpc_client, grpc)):
        describe(name, client)
        every_dtype(name, module, client)
        several(name, module, client)
        errors(name, module, client)
    asynchronous(http_client, http)
    streaming(grpc_client, grpc)
    asyncio.run(asyncio_clients())
    check("metrics: Prometheus' parser reads them", prometheus)
    check("proto: names, numbers and types are Triton's", same_protocol)
    if "--kserve" in sys.argv:
        check("kserve: its clients of HTTP and gRPC", kserve)
    http.close()
    grpc.close()
    sys.exit(1 if failed else 0)


kserve_alone() if "--kserve-alone" in sys.argv else main()
