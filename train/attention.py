"""Attention within each sample of a packed row, as an attention implementation of transformers.

Every sample gets its own call of PyTorch's scaled_dot_product_attention with a causal mask, so that the fast
kernels serve, no mask of T x T is ever made, and the work is that of the samples alone. A compiled layer takes
the mask instead, because a kernel per sample would be compiled anew for every set of lengths.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface

BY_SAMPLE = "medmix_by_sample"
"""The name under which transformers knows `by_sample`; a model of that name makes no mask."""


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
    """Attend causally within each sample of one packed row.

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
