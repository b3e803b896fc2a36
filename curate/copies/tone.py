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
    level = np.clip(one * (LEVELS / 256), 0, LEVELS - 1).astype(np.int64)
    order = np.lexsort((other[inside], level[inside]))
    counts = np.bincount(level[inside], minlength=LEVELS)
    ends = np.cumsum(counts)
    known = counts >= MIN_PIXELS
    if np.count_nonzero(known) < 2:
        return one
    medians = other[inside][order][(ends - (counts + 1) // 2)[known]]
    centres = (np.arange(LEVELS) + 0.5) * (256 / LEVELS)
    return np.interp(one, centres[known], medians).astype(np.float32)
