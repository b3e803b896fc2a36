"""What each of two paired pictures shows beside what both show."""

from typing import Final

import numpy as np
import numpy.typing as npt

from . import registration
from .grey import Floats
from .paired import Paired
from .panels import Box
from .registration import Matrix

PROTRUDES: Final = 1.5
"""Pixels by which frames may differ when one is said to lie within the other."""

MIN_OWN: Final = 0.003
"""The share of a picture below which it shows nothing of its own."""

CONTRAST: Final = 18.0
"""Grey levels between the dark and the bright pixels of a strip above which it shows something."""

AT_SIDE: Final = 0.02
"""How far from a side of a picture, as a share of it, a box still reaches it."""

MAX_HALF: Final = 0.52
"""The largest share of a picture that a part at three of its sides takes: half, measured with some error."""

MAX_THIRD: Final = 0.4
"""The same of a part at two sides: a third of a picture from which even borders were cut."""

STILL: Final = 0.1
"""The change of scale, and the shift in sides, below which a picture is in place."""


def share(paired: Paired) -> float:
    """Give the share of the part that the ground covers."""
    return 1 - float(_outside(paired.map, paired.part.shape, paired.ground.shape, 0.0).mean())


def both_protrude(paired: Paired) -> bool:
    """Tell whether each picture shows something that lies beyond the frame of the other."""
    own = _outside(paired.map, paired.part.shape, paired.ground.shape, PROTRUDES)
    own_ground = _outside(registration.inverse(paired.map), paired.ground.shape, paired.part.shape, PROTRUDES)
    return _shows_something(paired.part, own) and _shows_something(paired.ground, own_ground)


def _outside(map_: Matrix, shape: tuple[int, ...], other: tuple[int, ...], margin: float) -> npt.NDArray[np.bool_]:
    """Give the pixels of a [H, W] grid that a map takes beyond the frame of another picture by more than a margin."""
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])
    (xx, xy, x), (yx, yy, y) = map_
    beyond = [
        np.maximum(-0.5 - place, place - (size - 0.5))
        for place, size in ((xx * columns + xy * rows + x, other[1]), (yx * columns + yy * rows + y, other[0]))
    ]
    return np.asarray(np.maximum(*beyond) > margin)


def _shows_something(picture: Floats, where: npt.NDArray[np.bool_]) -> bool:
    """Tell whether a picture is more than an even ground there."""
    if np.count_nonzero(where) < MIN_OWN * picture.size:
        return False
    values = picture[where]
    return bool(np.percentile(values, 90) - np.percentile(values, 10) > CONTRAST)


def zoom(paired: Paired) -> float:
    """Give the magnification of the part on the ground when both have the same number of pixels."""
    return float((paired.ground.size / paired.part.size) ** 0.5)


def is_still(paired: Paired) -> bool:
    """Tell whether the frames of the two are nearly the same."""
    height, width = paired.part.shape
    still = np.array([[paired.ground.shape[1] / width, 0, 0], [0, paired.ground.shape[0] / height, 0]])
    moved = np.abs(paired.map - still)
    return bool(moved[:, :2].max() <= STILL and moved[:, 2].max() <= STILL * max(height, width))


def shared_box(paired: Paired) -> Box:
    """Give the part in shares of the ground."""
    height, width = paired.part.shape
    corners = np.array(
        [[-0.5, -0.5, 1], [width - 0.5, -0.5, 1], [-0.5, height - 0.5, 1], [width - 0.5, height - 0.5, 1]]
    )
    places = (corners @ paired.map.T + 0.5) / paired.ground.shape[::-1]
    (left, top), (right, bottom) = np.clip(places.min(0), 0, 1), np.clip(places.max(0), 0, 1)
    return float(left), float(top), float(right), float(bottom)


def is_division(box: Box) -> bool:
    """Tell whether a box is what a division of the picture gives: up to half of it at three sides, or a third at two.

    Crops keep more, or what is in the middle; such a part is a panel beside a seam that does not show.
    """
    sides = np.count_nonzero(np.abs(np.array(box) - (0, 0, 1, 1)) <= AT_SIDE)
    area = (box[2] - box[0]) * (box[3] - box[1])
    return bool((sides >= 3 and area <= MAX_HALF) or (sides == 2 and area <= MAX_THIRD))


def is_same_box(one: Box, other: Box) -> bool:
    """Tell whether two boxes share three quarters of what they cover."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height > 0.75 * (sum(areas) - width * height)
