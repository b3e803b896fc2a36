"""Alignments of two pictures: maps of one on the other under which their detail may agree, the best ones first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from . import registration
from .alignable import Alignable
from .grey import Floats
from .keypoints import Keypoints
from .panels import Box
from .registration import Matrix

KEYPOINTS: Final = 120
HYPOTHESES: Final = 3
"""Maps on which keypoints agree that are tried at most."""

HOPELESS_CONCORD: Final = 0.25
"""Concord of all starts below which nothing is refined: of 99 % of strangers it is below 0.22, of copies above 0.6."""

HOPELESS: Final = 0.2
"""Correlation at `COARSE` below which an alignment is not refined at that scale."""

ENOUGH: Final = 0.9
"""Score at which no other alignment is tried."""

GOOD: Final = 0.75
"""Score of a refined alignment at which it is not refined another way."""

WORTH: Final = 0.52
"""The same below which it is given up."""

REFINED: Final = 2
"""Starts that are refined at most, the best ones."""

STRETCHED: Final = 1.25
"""Proportions of one picture over those of the other above which it may be stretched."""

BLOCK: Final = 8
MIN_BLOCKS: Final = 12
MIN_DETAIL: Final = 0.7
"""Grey levels (root mean square) of fine detail that a block must have to count."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """A map of the first working picture on the second, and how well their detail agrees under it.

    Attributes:
        score: the mean strength of the correlation of blocks, 0 to 1.
        concord: the same where blocks with opposite signs cancel each other, 0 to 1: near 0 for strangers.
        map: the map.
    """

    score: float
    concord: float
    map: Matrix


def alignments(first: Alignable, second: Alignable) -> list[Alignment]:
    """Give the alignments that were tried, the best first; those of strangers are given up before they are refined."""
    found = sorted((_scored(first, second, start) for start in _starts(first, second)), key=_score, reverse=True)
    stretched = _is_stretched(first, second)
    if found[0].score < ENOUGH and (stretched or max(start.concord for start in found) >= HOPELESS_CONCORD):
        for start in found[: REFINED + stretched]:
            found = [*found, *_refined(first, second, start.map, 0.0 if stretched else WORTH)]
            if max(map(_score, found)) >= ENOUGH:
                break
    return sorted(found, key=_score, reverse=True)


def _is_stretched(first: Alignable, second: Alignable) -> bool:
    """Tell whether one may be the other stretched, which keypoints do not survive."""
    (height, width), (other_height, other_width) = first.picture.shape, second.picture.shape
    ratio = width * other_height / (height * other_width)
    return max(ratio, 1 / ratio) > STRETCHED


def _score(alignment: Alignment) -> float:
    return alignment.score


def _starts(first: Alignable, second: Alignable) -> Iterator[Matrix]:
    whole = (0.0, 0.0, 1.0, 1.0)
    yield box_map(first, whole, second, whole)
    if first.frame != second.frame:
        # borders that only one of them seems to have
        yield box_map(first, _outer(first.frame), second, _outer(second.frame))
    yield from _maps(first.points, second.points, first.picture.shape)
    if second.layout.panels:
        yield from _maps_to_parts(first, second)
    if first.layout.panels:
        yield from map(registration.inverse, _maps_to_parts(second, first))
    for box in second.parts:
        yield box_map(first, whole, second, box)
    for box in first.parts:
        yield box_map(first, box, second, whole)


def _maps_to_parts(picture: Alignable, figure: Alignable) -> list[Matrix]:
    """Give the maps of a picture on parts of a figure, also on panels that were not found."""
    return _maps(picture.points, figure.fine_points, picture.picture.shape)


def _maps(points: Keypoints, others: Keypoints, shape: tuple[int, ...]) -> list[Matrix]:
    matches = registration.match_keypoints(points, others, (shape[1] / 2, shape[0] / 2))
    return registration.hypotheses(points, others, matches, HYPOTHESES)


def _outer(frame: Box) -> Box:
    """Give the whole picture in shares of its frame."""
    left, top, right, bottom = frame
    width, height = right - left, bottom - top
    return -left / width, -top / height, (1 - left) / width, (1 - top) / height


def box_map(first: Alignable, box: Box, second: Alignable, other: Box) -> Matrix:
    """Give the map that takes a box of the first working picture to one of the second."""
    axes = []
    for low, high, low_other, high_other, size, size_other in zip(
        box[:2], box[2:], other[:2], other[2:], first.picture.shape[::-1], second.picture.shape[::-1], strict=True
    ):
        scale = (high_other - low_other) * size_other / ((high - low) * size)
        axes.append((scale, low_other * size_other - 0.5 - scale * (low * size - 0.5)))
    (x_scale, x), (y_scale, y) = axes
    return np.array([[x_scale, 0, x], [0, y_scale, y]])


def _refined(first: Alignable, second: Alignable, start: Matrix, worth: float) -> Iterator[Alignment]:
    """Refine an alignment; on smooth pictures coarse steps spoil a good start, so they are tried second."""
    correlation = _coarse_correlation(first, second, start)
    sign = 1.0 if correlation >= 0 else -1.0
    fine = _scored(first, second, registration.refine(first.middle, sign * second.middle, start, steps=8, stride=2))
    yield fine
    if worth < fine.score < GOOD and abs(correlation) >= HOPELESS:
        map_ = registration.refine(first.coarse, sign * second.coarse, start, steps=6, stride=2)
        yield _scored(first, second, registration.refine(first.middle, sign * second.middle, map_, steps=8, stride=2))


def _coarse_correlation(first: Alignable, second: Alignable, map_: Matrix) -> float:
    moved, inside = registration.warp(second.coarse, map_, first.coarse.shape)
    if not inside.any():
        return 0.0
    one, two = first.coarse[inside], moved[inside]
    one, two = one - one.mean(), two - two.mean()
    return float((one * two).sum() / (np.sqrt(np.square(one).sum() * np.square(two).sum()) + 1e-6))


def _scored(first: Alignable, second: Alignable, map_: Matrix) -> Alignment:
    moved, inside = registration.warp(second.fine, map_, first.fine.shape)
    correlations = block_correlations(first.fine, moved, inside)
    if not len(correlations):
        return Alignment(0.0, 0.0, map_)
    return Alignment(float(np.abs(correlations).mean()), abs(float(correlations.mean())), map_)


def block_correlations(first: Floats, second: Floats, inside: npt.NDArray[np.bool_]) -> Floats:
    """Give the correlations of the more detailed 60 % of the blocks; none when there are too few."""
    whole = _means(inside.astype(np.float32)) > 0.999
    mean, mean_other = _means(first)[whole], _means(second)[whole]
    detail = np.sqrt(np.maximum(_means(first * first)[whole] - mean * mean, 0))
    other = np.sqrt(np.maximum(_means(second * second)[whole] - mean_other * mean_other, 0))
    common = _means(first * second)[whole] - mean * mean_other
    telling = np.maximum(detail, other) > MIN_DETAIL
    if np.count_nonzero(telling) < MIN_BLOCKS:
        return np.empty(0, np.float32)
    both = detail * other
    telling &= both >= np.sort(both)[int(0.4 * len(both))]
    return np.asarray(common[telling] / (both + 1e-3)[telling])


def _means(picture: Floats) -> Floats:
    """Give the mean of each block of [H, W]; the remainder at the right and below is dropped."""
    rows, columns = (side // BLOCK for side in picture.shape)
    whole = picture[: rows * BLOCK, : columns * BLOCK]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA))
