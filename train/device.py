"""What the machine can do: the peak of its arithmetic and its memory."""

import resource
import sys
import time
from functools import cache
from pathlib import Path

import torch

GIB = 1 << 30

PEAKS = {
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
"""Dense FLOP/s of tensor cores in 16 bits by the part of a device's name, from NVIDIA's data sheets."""


def name(device: torch.device) -> str:
    """Give the device's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


@cache
def peak(device: torch.device, dtype: torch.dtype) -> tuple[float, str]:
    """Give the peak FLOP/s for matrix products, and where it is known from.

    For a GPU in `PEAKS` and 16 bits the data sheet's; else that of a matrix product measured here.
    """
    if device.type == "cuda" and dtype == torch.bfloat16:
        called = torch.cuda.get_device_name(device)
        for part in sorted(PEAKS, key=len, reverse=True):
            if part in called:
                return PEAKS[part], "data sheet"
    return _measured(device, dtype), "a matrix product measured here"


def memory(device: torch.device) -> int:
    """Give the bytes of memory that are free for training: of the GPU, or of this machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux: nothing is known, so nothing is refused
        return 1 << 62


def used(device: torch.device) -> float:
    """Give the most GiB so far that PyTorch has held on a GPU, or that this process has held in memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / GIB if sys.platform == "darwin" else most * 1024 / GIB  # macOS counts bytes


def _measured(device: torch.device, dtype: torch.dtype) -> float:
    side = 4096 if device.type == "cuda" else 512
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        product = matrix @ matrix
        product[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best
