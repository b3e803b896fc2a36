"""Drawings: charts, tables and diagrams, whose lines and letters are their content."""

from typing import Final

import numpy as np

from . import grey
from .grey import Pixels

SIDE: Final = 448
"""Side of the square that has as many pixels as the picture that is looked at, at most."""

PATCH: Final = 12
"""Side in pixels of the patches by which drawings are known."""

DRAWING: Final = 0.65
"""Share of a patch that has the grey level of its ground, in half of the patches of a drawing or more."""

CONTRAST: Final = 12.0
"""Standard deviation in grey levels above which a patch has detail."""

MIN_PATCHES: Final = 12


def is_drawing(pixels: Pixels) -> bool:
    """Tell a chart, table or diagram from a photograph: where it has detail, most of the ground is of one level."""
    small = grey.reduced(pixels, SIDE)
    rows, columns = (side // PATCH for side in small.shape)
    cut = small[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH)
    patches = cut.swapaxes(1, 2).reshape(-1, PATCH * PATCH)
    patches = patches[patches.std(axis=1) > CONTRAST]
    if len(patches) < MIN_PATCHES:
        return False
    levels = (patches >> 3).astype(np.int64) + 33 * np.arange(len(patches))[:, None]
    counts = np.bincount(levels.ravel(), minlength=33 * len(patches)).reshape(-1, 33)
    ground = (counts[:, :-1] + counts[:, 1:]).max(axis=1)  # two neighbouring levels of eight greys
    return bool(np.median(ground) >= DRAWING * PATCH * PATCH)
