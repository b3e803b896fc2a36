"""One attention implementation of transformers for padded and packed rows; packed samples do not see each other.

Packed rows use the kernel for sequences of unequal length (`torch.nn.attention.varlen`, FlashAttention 2: Dao 2023,
arXiv 2307.08691) where there is one. Elsewhere each sample is one call of PyTorch's scaled_dot_product_attention with
a causal mask. Neither makes a mask of T x T, and neither computes more than the samples' own attention. Compiled
layers without the kernel use such a mask, because a call per sample would be compiled for every set of lengths.
"""

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # torch before 2.10
    varlen_attn = None  # type: ignore[assignment]

IMPLEMENTATION = "medmix"
"""The name under which `attention` is registered in transformers."""

KERNEL_DTYPES = (torch.float16, torch.bfloat16)


@cache
def has_varlen_kernel(device: torch.device) -> bool:
    """Tell whether a device has the kernel for sequences of unequal length: NVIDIA from Ampere on, torch 2.12."""
    if varlen_attn is None or device.type != "cuda" or torch.version.hip is not None:
        return False
    parameters = inspect.signature(varlen_attn).parameters
    return {"window_size", "enable_gqa"} <= parameters.keys() and torch.cuda.get_device_capability(device) >= (8, 0)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    seq_lens: Sequence[int] | None = None,
    cu_seqlens: Tensor | None = None,
    max_seqlen: int = 0,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend causally within each sample.

    Args:
        module: the attention layer.
        query: [B, H, T, E].
        key: [B, K, T, E]; K divides H.
        value: [B, K, T, E]; its dtype is that of the matrix products, as autocast gives it.
        attention_mask: used without `seq_lens` and `cu_seqlens`.
        scaling: of the scores; None is 1 / sqrt(E).
        dropout: of the attention weights; must be 0 with `cu_seqlens`.
        seq_lens: tokens of each sequence of a packed row, in order; one call per sequence.
        cu_seqlens: [sequences + 1] int32, their cumulative lengths from 0 to T; one call of the kernel, in 16 bits.
        max_seqlen: with `cu_seqlens`, at least the tokens of the longest sequence.
        options: further arguments of transformers' SDPA attention, for rows that are not packed.

    Returns:
        [B, T, H, E], and None in place of the attention weights.
    """
    grouped = query.shape[1] != key.shape[1]
    if cu_seqlens is not None:
        # rotation can leave query and key in fp32
        q, k, v = (part[0].transpose(0, 1).to(value.dtype).contiguous() for part in (query, key, value))
        attended: Any = varlen_attn(
            q, k, v, cu_seqlens, cu_seqlens, max_seqlen, max_seqlen,
            scale=scaling, window_size=(-1, 0), enable_gqa=grouped,
        )  # fmt: skip
        return attended.unsqueeze(0), None
    if seq_lens is not None:
        lengths = list(seq_lens)
        parts = zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
        outputs = [
            F.scaled_dot_product_attention(
                q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped
            )
            for q, k, v in parts
        ]
        return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None
    padded: tuple[Tensor, None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
    )
    return padded


def block_mask(seq_lens: Sequence[int], device: torch.device) -> Tensor:
    """Give the mask of a packed row, [1, 1, T, T] bool: True for a token itself and those before it in its sample."""
    owners = torch.repeat_interleave(torch.tensor(seq_lens, device=device))
    return (owners[:, None] == owners[None, :]).tril()[None, None]


AttentionInterface.register(IMPLEMENTATION, attention)
AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
