"""Two pictures at one scale, one moved on the grid of the other as precisely as their pixels allow."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from . import grey, registration
from .alignable import Alignable
from .grey import Floats
from .regions import CELL, NOISE, Regions, compare_regions
from .registration import Matrix

SIDE: Final = 256
"""Side of the square that has as many pixels as the pictures in which regions are compared."""

DRAWING_SIDE: Final = 448
"""The same for drawings, whose letters are small; also the largest side of a picture of which the other is a part."""

RIM, SMALL_RIM = 5, 2
"""Pixels at the rim whose detail depends on what lies beside it and on how a border was cut; of small pictures."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Two pictures at one scale of pixels.

    Attributes:
        part: the one, float32 [H, W].
        ground: the other, which shows as much or more, float32.
        map: of places in the part to places in the ground.
        moved: the ground on the grid of the part, [H, W].
        inside: the pixels of that grid that both cover, without a rim, [H, W].
        sharpest: the least scale in pixels at which both can have detail.
        noise: as in `compare_regions`.
    """

    part: Floats
    ground: Floats
    map: Matrix
    moved: Floats
    inside: npt.NDArray[np.bool_]
    sharpest: float
    noise: float = NOISE

    def regions(self, part: Floats | None = None, moved: Floats | None = None) -> Regions:
        """Compare the two, or what was made of them."""
        one, other = self.part if part is None else part, self.moved if moved is None else moved
        return compare_regions(one, other, self.inside, self.sharpest, self.noise)


def pair(part: Alignable, ground: Alignable, map_: Matrix) -> Paired | None:
    """Pair two pictures under an alignment of their working pictures; None where they share too little.

    Args:
        part: the one picture.
        ground: the other, which shows as much or more.
        map_: of the working picture of the one on that of the other.
    """
    side = DRAWING_SIDE if part.is_drawing or ground.is_drawing else SIDE
    zoom = max(1.0, abs(float(np.linalg.det(map_[:, :2]))) ** -0.5)
    natural = [2 * float(one.pixels.size) ** 0.5 for one in (part, ground)]
    side_part = min(side, natural[0], min(DRAWING_SIDE, natural[1]) / zoom)
    sizes = part.at(round(side_part)), ground.at(round(side_part * zoom))
    if sizes[0] is None or sizes[1] is None or min(sizes[0].picture.shape) < CELL:
        return None
    one, other = sizes[0].picture, sizes[1].picture
    map_ = registration.rescaled(map_, part.picture.shape, ground.picture.shape, one.shape, other.shape)
    for sigma, stride in ((2.4, 3), (1.2, 2)):
        bands = sizes[0].band(sigma), sizes[1].band(sigma)
        moved, inside = registration.warp(bands[1], map_, one.shape)
        sign = 1.0 if float((bands[0] * moved)[inside].sum()) >= 0 else -1.0
        refined = registration.refine(bands[0], sign * bands[1], map_, 8, stride)
        if _correlation(bands[0], bands[1], refined) > _correlation(bands[0], bands[1], map_):
            map_ = refined
    moved, inside = registration.warp(other, map_, one.shape)
    inside = _without_rim(inside, RIM if side_part > grey.WORKING_SIDE else SMALL_RIM)
    sharpest = 0.5 * max(grey.enlargement(one, part.pixels), grey.enlargement(other, ground.pixels))
    return Paired(one, other, map_, moved, inside, sharpest)


def _without_rim(inside: npt.NDArray[np.bool_], rim: int) -> npt.NDArray[np.bool_]:
    padded = np.pad(inside.astype(np.uint8), rim)
    return np.asarray(cv2.erode(padded, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))[rim:-rim, rim:-rim] > 0)


def _correlation(one: Floats, other: Floats, map_: Matrix) -> float:
    moved, inside = registration.warp(other, map_, one.shape)
    if not inside.any():
        return -1.0
    mine, yours = one[inside], moved[inside]
    return abs(float(mine @ yours)) / (float(mine @ mine) * float(yours @ yours) + 1e-6) ** 0.5
