"""Attention within each sample of a packed row, as attention implementations of transformers.

Where there is a kernel for samples of unequal length (`torch.nn.attention.varlen`, FlashAttention 2: Dao 2023, arXiv
2307.08691), one call serves the whole row. Elsewhere every sample gets its own call of PyTorch's
scaled_dot_product_attention with a causal mask. No mask of T x T is ever made, and the work is that of the samples
alone. Only a compiled layer without the kernel takes the mask, because a call per sample would be compiled anew for
every set of lengths.
"""

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # torch before 2.10
    varlen_attn = None  # type: ignore[assignment]

BY_SAMPLE = "medmix_by_sample"
"""The name under which transformers knows `by_sample`; a model of that name makes no mask."""

VARLEN = "medmix_varlen"
"""The same of `varlen`."""

KERNEL_TYPES = (torch.float16, torch.bfloat16)


@cache
def has_kernel(device: torch.device) -> bool:
    """Tell whether a device has the kernel for samples of unequal length: NVIDIA, from Ampere on, with torch 2.12."""
    if varlen_attn is None or device.type != "cuda" or torch.version.hip is not None:
        return False
    known = inspect.signature(varlen_attn).parameters
    return {"window_size", "enable_gqa"} <= known.keys() and torch.cuda.get_device_capability(device) >= (8, 0)


def varlen(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    sample_bounds: Tensor,
    longest: int,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend causally within each sample of one packed row, by one kernel, in 16 bits.

    Args:
        module: the attention layer; not used.
        query: [1, H, T, E].
        key: [1, K, T, E]; K divides H.
        value: [1, K, T, E]; its type is that of the products, as autocast gives it.
        attention_mask: not used.
        scaling: of the scores; None is 1 / sqrt(E).
        dropout: must be 0; the kernel knows none.
        sample_bounds: [samples + 1] int32, where each sample begins, and T.
        longest: at least the tokens of the longest sample.

    Returns:
        [1, T, H, E], and None in place of the attention weights.
    """
    grouped = query.shape[1] != key.shape[1]
    # rotation can leave query and key in fp32
    q, k, v = (part[0].transpose(0, 1).to(value.dtype).contiguous() for part in (query, key, value))
    attended: Any = varlen_attn(
        q, k, v, sample_bounds, sample_bounds, longest, longest,
        scale=scaling, window_size=(-1, 0), enable_gqa=grouped,
    )  # fmt: skip
    return attended.unsqueeze(0), None


def by_sample(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    sample_lengths: Sequence[int],
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend causally within each sample of one packed row, one call a sample.

    Args:
        module: the attention layer; not used.
        query: [1, H, T, E].
        key: [1, K, T, E]; K divides H.
        value: [1, K, T, E].
        attention_mask: not used.
        scaling: of the scores; None is 1 / sqrt(E).
        dropout: of the attention weights.
        sample_lengths: tokens of each sample, in their order; they add up to T.

    Returns:
        [1, T, H, E], and None in place of the attention weights.
    """
    lengths = list(sample_lengths)
    parts = zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    grouped = query.shape[1] != key.shape[1]
    attended = [
        F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped)
        for q, k, v in parts
    ]
    return torch.cat(attended, dim=2).transpose(1, 2).contiguous(), None


def block_mask(lengths: Sequence[int], device: torch.device) -> Tensor:
    """Give the mask of a packed row, [1, 1, T, T] bool: True where a token may look, back within its sample."""
    owners = torch.repeat_interleave(torch.tensor(lengths, device=device))
    return (owners[:, None] == owners[None, :]).tril()[None, None]


AttentionInterface.register(BY_SAMPLE, by_sample)
AttentionInterface.register(VARLEN, varlen)
