"""Where two aligned pictures agree, and where each shows something of its own.

The fine detail of both is compared cell by cell, after the sharper one was blurred like the other. What a lossy
encoder leaves is noise of a known size; where more than that differs, the pictures differ.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from .grey import Floats, blurred

Mask = npt.NDArray[np.bool_]

CELL: Final = 16
"""Side of a cell in pixels; cells lie half a side apart."""

FINE: Final = 3.0
"""Scale in pixels above which brightness is removed."""

NOISE: Final = 1.5
"""Grey levels (root mean square) of fine detail that encoders add or take."""

TELLING: Final = 3.0
"""Grey levels of fine detail above which a cell tells something."""

LOUD: Final = 6.0
"""Grey levels of fine detail that no encoder adds or takes."""

SHARPNESS: Final = (0.0, 0.6, 0.9, 1.3, 1.8)
"""Blurs in pixels that are tried to make the pictures equally sharp."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The cells of two aligned pictures, [R, C] each.

    Attributes:
        inside: whether both pictures cover the cell.
        one, other: the power of their fine detail in squared grey levels, above the noise.
        agreement: the correlation of their detail, -1 to 1, noise taken out; 0 where only one has detail.
        telling: whether at least one of them has detail there.
    """

    inside: Mask
    one: Floats
    other: Floats
    agreement: Floats
    telling: Mask

    @property
    def loud(self) -> Mask:
        """The cells in which at least one picture has more detail than an encoder adds or takes."""
        return self.telling & (np.maximum(self.one, self.other) > LOUD**2)

    @property
    def strong(self) -> Mask:
        """The half of the telling cells in which both pictures together have more detail."""
        power = np.sqrt(self.one * self.other)
        least = np.median(power[self.telling]) if self.telling.any() else 0.0
        return self.telling & (power >= least)


def compare_regions(one: Floats, other: Floats, inside: Mask, sharpest: float, noise: float = NOISE) -> Regions:
    """Compare two aligned pictures, float32 [H, W], where `inside`.

    Args:
        one: the one picture.
        other: the other, on the grid of the first.
        inside: the pixels that both cover.
        sharpest: the least scale in pixels at which both can have detail.
        noise: grey levels (root mean square) that do not count.
    """
    fine_one, fine_other = _equally_sharp(one, other, inside, sharpest)
    weight = inside.astype(np.float32)
    covered = np.maximum(_mean(weight), 1e-2)
    mean_one, mean_other = (_mean(fine * weight) / covered for fine in (fine_one, fine_other))
    power_one = np.maximum(_mean(np.square(fine_one) * weight) / covered - np.square(mean_one), 0)
    power_other = np.maximum(_mean(np.square(fine_other) * weight) / covered - np.square(mean_other), 0)
    common = _mean(fine_one * fine_other * weight) / covered - mean_one * mean_other
    whole = covered > 0.95
    telling = whole & (np.maximum(power_one, power_other) > TELLING**2)
    above_one, above_other = (np.maximum(power - noise**2, 0.1 * noise**2) for power in (power_one, power_other))
    agreement = np.clip(common / np.sqrt(above_one * above_other), -1, 1)
    agreement[np.minimum(power_one, power_other) < noise**2] = 0
    return Regions(whole, above_one, above_other, agreement, telling)


def _equally_sharp(one: Floats, other: Floats, inside: Mask, sharpest: float) -> tuple[Floats, Floats]:
    """Give the fine detail of both, one of them blurred as much as makes them most alike."""
    smooth_one, smooth_other = blurred(one, FINE), blurred(other, FINE)
    best = -1.0, smooth_one, smooth_other
    for blur, blur_other in ((0.0, 0.0), *((s, 0.0) for s in SHARPNESS[1:]), *((0.0, s) for s in SHARPNESS[1:])):
        fine = blurred(one, float(np.hypot(sharpest, blur))) - smooth_one
        fine_other = blurred(other, float(np.hypot(sharpest, blur_other))) - smooth_other
        mine, yours = fine[inside], fine_other[inside]
        likeness = abs(float(mine @ yours)) / (float(mine @ mine) * float(yours @ yours) + 1e-6) ** 0.5
        if likeness > best[0] + 0.005:
            best = likeness, fine, fine_other
    return best[1], best[2]


def _mean(values: Floats) -> Floats:
    """Give the mean of each cell, [R, C]."""
    means = cv2.boxFilter(values, -1, (CELL, CELL), borderType=cv2.BORDER_REFLECT)
    return np.asarray(means[CELL // 2 :: CELL // 2, CELL // 2 :: CELL // 2], np.float32)
