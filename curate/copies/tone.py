"""The tone of one picture given that of another: how each grey level of the one appears in the other."""

from typing import Final

import numpy as np
import numpy.typing as npt

from .grey import Floats

LEVELS: Final = 32
MIN_PIXELS: Final = 20
"""Pixels of a level below which its tone is taken from its neighbours."""


def retoned(one: Floats, other: Floats, inside: npt.NDArray[np.bool_]) -> Floats:
    """Give each pixel of `one`, float32 [H, W] of 0 to 255, the median grey that its level has in `other`."""
    level = np.clip(one[inside] * (LEVELS / 256), 0, LEVELS - 1).astype(np.int32)
    tone = np.clip(other[inside], 0, 255).astype(np.int32)
    counts = np.bincount(level * 256 + tone, minlength=256 * LEVELS).reshape(LEVELS, 256)
    sums = counts.sum(1)
    known = sums >= MIN_PIXELS
    if np.count_nonzero(known) < 2:
        return one
    medians = (counts.cumsum(1) < (sums / 2)[:, None]).sum(1)[known]
    centres = (np.arange(LEVELS) + 0.5) * (256 / LEVELS)
    table = np.interp(np.arange(1025) / 4, centres[known], medians).astype(np.float32)
    return table[np.clip(one * 4, 0, 1024).astype(np.int32)]
