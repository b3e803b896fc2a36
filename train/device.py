"""Properties of a device: name, peak FLOP/s, memory."""

import resource
import sys
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

GIB = 1 << 30

PEAK_FLOPS = {
    "H200": 989e12,
    "H100": 989e12,
    "H800": 989e12,
    "GH200": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A40": 150e12,
    "A10G": 70e12,
    "A10": 125e12,
    "A6000": 155e12,
    "V100": 125e12,
    "T4": 65e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Dense 16-bit FLOP/s of tensor cores by part of the device's name, from NVIDIA's data sheets."""


class Peak(NamedTuple):
    """Peak FLOP/s of matrix products, and the origin of the number."""

    flops: float
    origin: str


def name(device: torch.device) -> str:
    """Give the device's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


@cache
def peak(device: torch.device, dtype: torch.dtype) -> Peak:
    """Give the peak of a device: from the data sheet for 16 bits on a GPU in `PEAK_FLOPS`, else measured here."""
    if device.type == "cuda" and dtype == torch.bfloat16:
        for part in sorted(PEAK_FLOPS, key=len, reverse=True):
            if part in name(device):
                return Peak(PEAK_FLOPS[part], "data sheet")
    return Peak(_measure_flops(device, dtype), "matrix product measured here")


def free_memory(device: torch.device) -> int:
    """Give the free bytes of memory of the GPU, or of this machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux: unknown, so every model may try
        return 1 << 62


def peak_memory_gib(device: torch.device) -> float:
    """Give the peak memory so far in GiB: of PyTorch on a GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_rss / GIB if sys.platform == "darwin" else peak_rss * 1024 / GIB  # macOS counts bytes


def _measure_flops(device: torch.device, dtype: torch.dtype) -> float:
    side = 4096 if device.type == "cuda" else 512
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        product = matrix @ matrix
        product[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best
