"""Keypoints: blobs that recur in a cropped, turned, mirrored or re-toned copy, and their surroundings.

Blobs are extrema of the difference of Gaussians over place and scale (D. Lowe, Distinctive Image Features from
Scale-Invariant Keypoints, 2004). The surroundings of a blob are sampled in its own frame (its place, scale, the
direction of its brightness slope, mirrored or not) and described by low-order DCT coefficients.
"""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from .grey import Floats, blur

SIGMAS: Final = tuple(float(sigma) for sigma in 1.6 * 2 ** (np.arange(9) / 3))
"""Scales that are searched, in pixels of the working picture; three per octave."""

REACH: Final = 5.0
"""Half the side of the surroundings, in the blob's scale."""

GRID: Final = 10
MIN_RESPONSE: Final = 0.4
"""Difference of Gaussians, in grey levels, below which a blob is noise."""

MAX_EDGE: Final = 12.0
"""Squared trace over determinant of the second derivatives: more is an edge, whose place is not fixed along it."""

ORDERS: Final = tuple((u, total - u) for total in range(2, 8) for u in range(total + 1))[:30]
"""The (horizontal, vertical) orders of the DCT coefficients that describe the surroundings, low ones first."""

_SQUARE = np.ones((3, 3), np.uint8)
_STEPS = ((np.arange(GRID) + 0.5) / GRID * 2 - 1).astype(np.float32)
_COSINES = np.cos(np.pi * np.outer(np.arange(8), np.arange(GRID) + 0.5) / GRID).astype(np.float32)
_WINDOW = np.exp(-0.5 * np.square(_STEPS / 0.6))
_SLOPE_X = np.outer(_WINDOW, _WINDOW * _STEPS).astype(np.float32)
_U, _V = np.array(ORDERS).T
IS_ODD: Final = _V % 2 == 1
"""The coefficients that change sign when the surroundings are mirrored."""

# A single odd coefficient is often near zero; their weighted sum decides whether the surroundings are mirrored.
_HANDED = {(1, 1): 1.0, (2, 1): 1.0, (0, 3): -0.7, (1, 3): 0.5, (3, 1): 0.7}


@dataclass(frozen=True, slots=True)
class Keypoints:
    """The strongest blobs of a picture, strongest first.

    Attributes:
        x, y: place in pixels of the working picture, float32 [N].
        sigma: scale in the same pixels, float32 [N].
        angle: direction of the brightness slope in radians, from x towards y, float32 [N].
        mirrored: whether the surroundings were mirrored (y to -y in their own frame), bool [N].
        handed: how certain that choice is, 0 to about 1, float32 [N].
        bright: whether the blob is brighter than its surroundings, bool [N].
        coefficients: of `ORDERS`, mirrored where `mirrored`, float32 [N, 30].
        shape: height and width of the picture.
    """

    x: Floats
    y: Floats
    sigma: Floats
    angle: Floats
    mirrored: npt.NDArray[np.bool_]
    handed: Floats
    bright: npt.NDArray[np.bool_]
    coefficients: Floats
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.x)

    def at(self, shape: tuple[int, ...]) -> "Keypoints":
        """Give them in places and scales of the same picture at another size."""
        y, x = (new / old for new, old in zip(shape, self.shape, strict=True))
        sigma = self.sigma * np.float32((x * y) ** 0.5)
        to_x, to_y = ((place + 0.5) * np.float32(by) - np.float32(0.5) for place, by in ((self.x, x), (self.y, y)))
        return replace(self, x=to_x, y=to_y, sigma=sigma, shape=shape)


def detect(picture: Floats, limit: int) -> Keypoints:
    """Find at most `limit` keypoints of a working picture, float32 [H, W]."""
    levels = _blur_scales(picture)
    bands = levels[1:] - levels[:-1]
    level, y, x = _extrema(bands)
    strength = -np.abs(bands[level, y, x])
    best = np.lexsort((x, y, level, strength))[:limit]
    level, y, x = level[best], y[best], x[best]
    bright = bands[level, y, x] < 0
    place_x, place_y, sigma = _refine_places(bands, level, y, x)
    patches = _sample_patches(levels, level, place_x, place_y, sigma, np.zeros_like(sigma))
    angle = np.arctan2((patches * _SLOPE_X.T).sum((1, 2)), (patches * _SLOPE_X).sum((1, 2)))
    patches = _sample_patches(levels, level, place_x, place_y, sigma, angle)
    spectrum = _COSINES @ patches @ _COSINES.T
    hand = sum(weight * spectrum[:, v, u] for (u, v), weight in _HANDED.items())
    size = np.sqrt(sum(np.square(spectrum[:, v, u]) for u, v in _HANDED)) + 1e-6
    mirrored = np.asarray(hand < 0)
    coefficients = spectrum[:, _V, _U]
    coefficients[np.ix_(mirrored, IS_ODD)] *= -1
    return Keypoints(place_x, place_y, sigma, angle, mirrored, np.abs(hand) / size, bright, coefficients, picture.shape)


def _blur_scales(picture: Floats) -> Floats:
    """Blur to each of `SIGMAS`, each time from the one before; float32 [scales, H, W]."""
    levels = np.empty((len(SIGMAS), *picture.shape), np.float32)
    sigma = 0.0
    for level, wanted in zip(levels, SIGMAS, strict=True):
        blur(picture, (wanted**2 - sigma**2) ** 0.5, level)
        picture, sigma = level, wanted
    return levels


def _extrema(bands: Floats) -> tuple[npt.NDArray[np.intp], ...]:
    """Give (level, y, x) of all local extrema over place and scale that are strong and no edge.

    They are searched in the magnitude: next to a strong blob no stronger one of the other sign has its peak.
    """
    strength = np.abs(bands)
    highest = np.empty_like(strength)
    for band, out in zip(strength, highest, strict=True):
        cv2.dilate(band, _SQUARE, dst=out)
    inner = strength[1:-1, 1:-1, 1:-1]
    in_plane = (inner > MIN_RESPONSE) & (inner >= highest[1:-1, 1:-1, 1:-1])
    # of a flat array: NumPy takes ten times as long to find places in three dimensions
    level, y, x = (place + 1 for place in np.unravel_index(np.flatnonzero(in_plane), in_plane.shape))
    value = strength[level, y, x]
    peak = (value >= highest[level - 1, y, x]) & (value >= highest[level + 1, y, x])
    level, y, x = level[peak], y[peak], x[peak]
    xx, yy, xy = _second_derivatives(bands, level, y, x)
    determinant = xx * yy - xy * xy
    blob = (determinant > 0) & (np.square(xx + yy) < MAX_EDGE * determinant)
    return level[blob], y[blob], x[blob]


def _second_derivatives(
    bands: Floats, level: npt.NDArray[np.intp], y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    centre = 2 * bands[level, y, x]
    xx = bands[level, y, x + 1] + bands[level, y, x - 1] - centre
    yy = bands[level, y + 1, x] + bands[level, y - 1, x] - centre
    diagonal = bands[level, y + 1, x + 1] + bands[level, y - 1, x - 1]
    return xx, yy, (diagonal - bands[level, y + 1, x - 1] - bands[level, y - 1, x + 1]) / 4


def _refine_places(
    bands: Floats, level: npt.NDArray[np.intp], y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Give x, y and sigma between the samples: the peak of a parabola, at most 0.7 samples away."""
    xx, yy, xy = _second_derivatives(bands, level, y, x)
    determinant = xx * yy - xy * xy
    slope_x = (bands[level, y, x + 1] - bands[level, y, x - 1]) / 2
    slope_y = (bands[level, y + 1, x] - bands[level, y - 1, x]) / 2
    slope = (bands[level + 1, y, x] - bands[level - 1, y, x]) / 2
    bend = bands[level + 1, y, x] + bands[level - 1, y, x] - 2 * bands[level, y, x]
    step = np.divide(slope, bend, out=np.zeros_like(slope), where=bend != 0)
    place_x = x - np.clip((yy * slope_x - xy * slope_y) / determinant, -0.7, 0.7)
    place_y = y - np.clip((xx * slope_y - xy * slope_x) / determinant, -0.7, 0.7)
    sigma = SIGMAS[0] * np.exp2((level - np.clip(step, -0.7, 0.7)) / 3)
    return place_x.astype(np.float32), place_y.astype(np.float32), sigma.astype(np.float32)


def _sample_patches(
    levels: Floats, level: npt.NDArray[np.intp], x: Floats, y: Floats, sigma: Floats, angle: Floats
) -> Floats:
    """Sample the surroundings of each keypoint in its own frame, bilinearly, float32 [N, GRID, GRID]."""
    scales, height, width = levels.shape
    if not len(x):
        return np.zeros((0, GRID, GRID), np.float32)
    along = (REACH * sigma * np.cos(angle))[:, None] * _STEPS
    across = (REACH * sigma * np.sin(angle))[:, None] * _STEPS
    columns = x[:, None, None] + along[:, None, :] - across[:, :, None]
    rows = y[:, None, None] + across[:, None, :] + along[:, :, None]
    np.clip(columns, 0, width - 1, out=columns)
    np.clip(rows, 0, height - 1, out=rows)
    rows += (level * height)[:, None, None]  # the scales are stacked into one tall picture
    to_x, to_y = (grid.astype(np.float32).reshape(-1, GRID) for grid in (columns, rows))
    tall = levels.reshape(scales * height, width)
    return np.asarray(cv2.remap(tall, to_x, to_y, cv2.INTER_LINEAR), np.float32).reshape(-1, GRID, GRID)
