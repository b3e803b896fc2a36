"""Properties of a device: name, peak FLOP/s, memory; of one in this machine, or of one in the table."""

import resource
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from medmix.curate.config import nearest
from medmix.curate.errors import UsageError

GIB = 1 << 30

RESERVED_GIB = 1.0
"""Memory that CUDA's context and kernels take on a GPU."""


class Listed(NamedTuple):
    """A GPU of the table: a part of PyTorch's name for it, dense 16-bit FLOP/s, and memory in GiB."""

    part: str
    flops: float
    gib: float


DEVICES = {
    "b200": Listed("B200", 2250e12, 179),
    "gh200-96gb": Listed("GH200", 989e12, 95),
    "h200": Listed("H200", 989e12, 140),
    "h200-nvl": Listed("H200 NVL", 835e12, 140),
    "h100-80gb": Listed("H100", 989e12, 79.6),
    "h100-nvl-94gb": Listed("H100 NVL", 835e12, 93.6),
    "h100-pcie-80gb": Listed("H100 PCIe", 756e12, 79.6),
    "h800-80gb": Listed("H800", 989e12, 79.6),
    "a100-80gb": Listed("A100", 312e12, 80),
    "a100-40gb": Listed("A100", 312e12, 40),
    "a800-80gb": Listed("A800", 312e12, 80),
    "l40s-48gb": Listed("L40S", 362e12, 45),
    "l40-48gb": Listed("L40", 181e12, 45),
    "l4-24gb": Listed("L4", 121e12, 22.5),
    "a40-48gb": Listed("A40", 150e12, 45),
    "a10g-24gb": Listed("A10G", 70e12, 22.5),
    "a10-24gb": Listed("A10", 125e12, 22.5),
    "a6000-48gb": Listed("A6000", 155e12, 48),
    "v100-32gb": Listed("V100", 125e12, 32),
    "v100-16gb": Listed("V100", 125e12, 16),
    "t4-16gb": Listed("T4", 65e12, 15),
    "rtx-4090-24gb": Listed("RTX 4090", 165e12, 24),
    "rtx-3090-24gb": Listed("RTX 3090", 71e12, 24),
}
"""Dense 16-bit FLOP/s of tensor cores from NVIDIA's data sheets, memory as the driver states it.

Without `pcie` or `nvl` in their names H100 and H200 are those of SXM boards, which run at more power.
"""


class Peak(NamedTuple):
    """Peak FLOP/s of matrix products, and the origin of the number."""

    flops: float
    origin: str


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device to plan for: its name, its peak, its memory in bytes."""

    name: str
    peak: Peak
    memory: int


def find_device(text: str) -> DeviceSpec:
    """Give a device of the table by its name, such as `h100-80gb`; its size may be left out where it is unique.

    Raises:
        UsageError: there is none; names the most similar ones.
    """
    key = text.strip().lower().replace(" ", "-").replace("_", "-")
    found = [name for name in DEVICES if key and key in (name, name.rpartition("-")[0])]
    if len(found) != 1:
        similar = found or [name for name in DEVICES if key and name.split("-")[0] in key]
        hint = f" (did you mean {' or '.join(similar)}?)" if similar else nearest(key, DEVICES)
        raise UsageError(f"--device: {text!r} is not known{hint}; known are {', '.join(DEVICES)}")
    listed = DEVICES[found[0]]
    return DeviceSpec(found[0], Peak(listed.flops, "data sheet"), int((listed.gib - RESERVED_GIB) * GIB))


def describe(device: torch.device, dtype: torch.dtype) -> DeviceSpec:
    """Describe a device of this machine; its memory is what is free."""
    return DeviceSpec(name(device), peak(device, dtype), free_memory(device))


def name(device: torch.device) -> str:
    """Give the device's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


@cache
def peak(device: torch.device, dtype: torch.dtype) -> Peak:
    """Give the peak of a device: from the data sheet for 16 bits on a GPU in `DEVICES`, else measured here."""
    if device.type == "cuda" and dtype == torch.bfloat16 and (flops := listed_flops(name(device))):
        return Peak(flops, "data sheet")
    return Peak(_measure_flops(device, dtype), "matrix product measured here")


def listed_flops(full_name: str) -> float | None:
    """Give the peak of a GPU by PyTorch's name for it: of the longest part in the table; None if none fits."""
    fitting = [listed for listed in DEVICES.values() if listed.part in full_name]
    return max(fitting, key=lambda listed: len(listed.part)).flops if fitting else None


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
