"""Fits the position embedding of foreign weights to a tower: prefix tokens by prefix tokens, patches by resampling."""

from math import isqrt

import torch
from timm.layers import resample_abs_pos_embed
from timm.models import VisionTransformer
from torch import Tensor

from medmix.curate.errors import UsageError

PREFIX_TOKENS = ("cls_token", "reg_token")
"""timm's names of the tokens before the patches, in the order of their positions."""

Grid = tuple[int, int]
"""Rows and columns of patches."""


def fit_positions(tower: VisionTransformer, weights: dict[str, Tensor], image_size: tuple[int, int] | None) -> str:
    """Replace the position embedding in `weights` by one of the tower's prefix tokens and grid.

    Prefix tokens without a position have position 0. Where the tower has no positions for them, theirs are added to
    the tokens themselves, which gives the same sums.

    Args:
        tower: a Vision Transformer of timm.
        weights: by timm's names; `pos_embed` is [1, N, W].
        image_size: rows and columns in pixels of the images that the weights were trained on, if it is known.

    Returns:
        A note for the log; "" if the positions are unchanged.

    Raises:
        UsageError: the grid of the weights cannot be told.
    """
    if tower.pos_embed is None or "pos_embed" not in weights:
        return ""
    positions, wanted = weights["pos_embed"], tower.pos_embed.shape[1]
    if positions.shape[-1] != tower.pos_embed.shape[-1]:
        return ""  # of another width, which the caller refuses
    tokens = [weights[name].shape[1] if name in weights else 0 for name in PREFIX_TOKENS]
    known = _known_grid(weights, image_size)
    prefix, grid = _split(positions.shape[1], tokens, known, 0 if tower.no_embed_class else tower.num_prefix_tokens)
    rows, columns = tower.patch_embed.grid_size
    patches = resample_abs_pos_embed(positions[:, prefix:], [rows, columns], list(grid), num_prefix_tokens=0)
    before = positions[:, :prefix]
    if tower.no_embed_class:
        _add_to_tokens(weights, before)
        before = before[:, :0]
    else:
        before = _fit_prefix(before, tokens, tower.num_prefix_tokens)
    weights["pos_embed"] = torch.cat([before, patches], dim=1)
    if positions.shape[1] == wanted and grid == (rows, columns):
        return ""
    return f", {positions.shape[1]} positions resampled to {wanted}"


def _known_grid(weights: dict[str, Tensor], image_size: tuple[int, int] | None) -> Grid | None:
    kernel = weights.get("patch_embed.proj.weight")
    if image_size is None or kernel is None or kernel.ndim != 4:
        return None
    return image_size[0] // kernel.shape[2], image_size[1] // kernel.shape[3]


def _split(count: int, tokens: list[int], known: Grid | None, wanted: int) -> tuple[int, Grid]:
    """Give the number of prefix tokens among `count` positions, and the grid of the others.

    Args:
        count: number of positions.
        tokens: the weights' numbers of class and register tokens; only the first ones may have positions.
        known: grid by the config, or None.
        wanted: the tower's number of positions of prefix tokens, which decides if several fit.

    Raises:
        UsageError: no number of prefix tokens leaves the known grid or, if none is known, a square.
    """
    possible = sorted({0, tokens[0], sum(tokens)}, key=lambda number: (number != wanted, -number))
    for prefix in possible:
        if known and count - prefix == known[0] * known[1]:
            return prefix, known
    for prefix in possible:
        side = isqrt(max(0, count - prefix))
        if side and side * side == count - prefix:
            return prefix, (side, side)
    has = f"pos_embed has {count} positions for {tokens[0]} class and {tokens[1]} register tokens and the patches"
    remedy = "put the config of the weights (config.json, with image_size) beside them"
    raise UsageError(f"{has}, whose grid is no square; {remedy}")


def _fit_prefix(before: Tensor, tokens: list[int], wanted: int) -> Tensor:
    """Give positions for the tower's prefix tokens: those of the weights, then zeros."""
    if wanted < before.shape[1]:
        # the class token comes first; a tower without it keeps the registers alone
        return before[:, tokens[0] :][:, :wanted] if wanted == before.shape[1] - tokens[0] else before[:, :wanted]
    zeros = before.new_zeros(1, wanted - before.shape[1], before.shape[2])
    return torch.cat([before, zeros], dim=1)


def _add_to_tokens(weights: dict[str, Tensor], before: Tensor) -> None:
    start = 0
    for name in PREFIX_TOKENS:
        if name in weights:
            count = min(weights[name].shape[1], before.shape[1] - start)
            token = weights[name].clone()
            token[:, :count] += before[:, start : start + count]
            weights[name], start = token, start + count
