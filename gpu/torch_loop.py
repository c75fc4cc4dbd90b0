"""ResNet18 in PyTorch on a GPU, eager and compiled: images per second from and to host memory, one thread.

    python3 torch_loop.py [seconds]

Prints one JSON object a line. The weights are random: speed does not depend on them.
"""

import json
import sys
import time

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.b = nn.Conv2d(outputs, outputs, 3, 1, 1)
        same = stride == 1 and inputs == outputs
        self.skip = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.b(torch.relu(self.a(x))) + self.skip(x))


def resnet18() -> nn.Module:
    """The topology with batch normalisation folded into the convolutions, as the ONNX file has it."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for outputs, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        layers.append(Block(channels, outputs, stride))
        channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def measure(model: nn.Module, dtype: torch.dtype, batch: int, seconds: float) -> dict[str, float]:
    host = torch.randn(batch, 3, 224, 224).pin_memory()
    answer = torch.empty(batch, 1000).pin_memory()

    def once() -> None:
        device = host.to("cuda", non_blocking=True).to(dtype)
        answer.copy_(model(device).float(), non_blocking=True)
        torch.cuda.synchronize()

    for _ in range(30):
        once()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    times.sort()
    return {"rows_per_s": round(batch * len(times) / sum(times), 1), "p50_ms": round(times[len(times) // 2] * 1e3, 4)}


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.5
    print(json.dumps({"torch": torch.__version__, "device": torch.cuda.get_device_name()}), flush=True)
    for name, dtype, tf32 in [("fp32", torch.float32, False), ("tf32", torch.float32, True), ("fp16", torch.float16, False)]:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        model = resnet18().eval().cuda().to(dtype)
        with torch.inference_mode():
            for mode in ["eager", "compiled"]:
                run = model if mode == "eager" else torch.compile(model, mode="reduce-overhead")
                for batch in [1, 4, 8, 32]:
                    row = {"contender": f"PyTorch {mode}", "precision": name, "batch": batch}
                    try:
                        row |= measure(run, dtype, batch, seconds)
                    except Exception as error:  # noqa: BLE001
                        row["error"] = str(error)[:200]
                    print(json.dumps(row), flush=True)


main()
