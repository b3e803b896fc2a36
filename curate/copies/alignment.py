"""Alignments of two pictures: maps of one on the other under which their detail may agree, the best ones first."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from . import drawings, grey, keypoints, registration
from .grey import Floats, Pixels, blurred
from .panels import Box, Layout, find_layout
from .registration import Matrix

KEYPOINTS: Final = 120
HYPOTHESES: Final = 3

COARSE, MIDDLE = 3.0, 1.2
"""Scales at which an alignment is refined, in pixels of the working picture."""

FINE: Final = 3.0
"""Scale above which brightness is removed before detail is compared."""

HOPELESS_SCORE: Final = 0.42
"""Score of the best start below which nothing is refined: that of most strangers is below, of copies above 0.55."""

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

NO_BORDER: Final = 0.01
"""The largest border of a panel, in sides of the figure, that is none."""

SIZES: Final = 3
"""Sizes of a picture that are kept."""

BLOCK: Final = 8
MIN_BLOCKS: Final = 12
MIN_DETAIL: Final = 0.7
"""Grey levels (root mean square) of fine detail that a block must have to count."""


class Resized:
    """A picture at one size, float32 [H, W], and its bands of even contrast around some scales."""

    def __init__(self, picture: Floats) -> None:
        """Keep a picture."""
        self.picture = picture
        self._bands: dict[float, Floats] = {}

    def band(self, sigma: float) -> Floats:
        """Give the band around a scale in pixels, [H, W]."""
        if sigma not in self._bands:
            self._bands[sigma] = band_pass(self.picture, sigma)
        return self._bands[sigma]


class Aligned:
    """A picture prepared for alignment with several others.

    Attributes:
        pixels: the picture without its even borders, uint8 [H, W].
        frame: these pixels in the whole picture, in shares.
        picture: the working picture, float32 [h, w].
    """

    def __init__(self, whole: Pixels, picture: Floats) -> None:
        """Prepare a grey picture, uint8 [H, W], with its working picture."""
        rows, columns = grey.trim(whole)
        height, width = whole.shape
        self.pixels = whole[rows, columns]
        self.frame: Box = (columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)
        self.picture = picture
        self._working = Resized(picture)
        self.enlarged = grey.enlargement(picture, self.pixels)
        self._sizes: dict[int, Resized | None] = {}

    @classmethod
    def of_sketch(cls, picture: Floats, enlarged: float) -> "Aligned":
        """Prepare a sketch, of which only the working picture is known."""
        made = cls(np.zeros((1, 1), np.uint8), picture)
        made.enlarged = enlarged
        return made

    @property
    def coarse(self) -> Floats:
        """Its band around `COARSE`, of even contrast, [h, w]."""
        return self._working.band(COARSE)

    @property
    def middle(self) -> Floats:
        """Its band around `MIDDLE`, of even contrast, [h, w]."""
        return self._working.band(MIDDLE)

    @cached_property
    def fine(self) -> Floats:
        """Its fine detail in grey levels, [h, w]."""
        # detail smaller than a pixel of a small image comes from the decoder, not from the image
        return blurred(self.picture, 0.5 * self.enlarged) - blurred(self.picture, FINE)

    @cached_property
    def points(self) -> keypoints.Keypoints:
        """Its keypoints."""
        return keypoints.detect(self.picture, KEYPOINTS)

    @cached_property
    def is_drawing(self) -> bool:
        """Whether it is a chart, a table or a diagram."""
        return drawings.is_drawing(self.pixels)

    def at(self, side: int) -> "Resized | None":
        """Give the pixels at about `side`² pixels; None for a strip or a near-uniform picture."""
        if side not in self._sizes:
            if len(self._sizes) == SIZES:
                self._sizes.pop(next(iter(self._sizes)))
            picture = grey.resized(self.pixels, side)
            self._sizes[side] = None if picture is None else Resized(picture)
        return self._sizes[side]

    @cached_property
    def layout(self) -> Layout:
        """Its panels and groups of panels, in shares of the picture without borders."""
        return find_layout(self.pixels)

    @cached_property
    def parts(self) -> list[Box]:
        """What may be a picture by itself: its panels and groups, and these without even borders of their own."""
        boxes = [*self.layout.panels, *self.layout.groups]
        trimmed = [self._without_border(box) for box in boxes]
        return boxes + [box for box, whole in zip(trimmed, boxes, strict=True) if _differ(box, whole)]

    def _without_border(self, box: Box) -> Box:
        height, width = self.pixels.shape
        left, top, right, bottom = (round(place * side) for place, side in zip(box, (width, height) * 2, strict=True))
        rows, columns = grey.trim(self.pixels[top:bottom, left:right])
        return (
            (left + columns.start) / width,
            (top + rows.start) / height,
            (left + columns.stop) / width,
            (top + rows.stop) / height,
        )


@dataclass(frozen=True, slots=True)
class Alignment:
    """A map of the first working picture on the second, and how well their detail agrees under it, 0 to 1."""

    score: float
    map: Matrix


def alignments(first: Aligned, second: Aligned) -> list[Alignment]:
    """Give the alignments that were tried, the best first; those of strangers are given up before they are refined."""
    found = sorted((_scored(first, second, start) for start in _starts(first, second)), key=_score, reverse=True)
    stretched = _is_stretched(first, second)
    if found[0].score < ENOUGH and (stretched or found[0].score >= HOPELESS_SCORE):
        for start in found[: REFINED + stretched]:
            found = [*found, *_refined(first, second, start.map, 0.0 if stretched else WORTH)]
            if max(map(_score, found)) >= ENOUGH:
                break
    return sorted(found, key=_score, reverse=True)


def _is_stretched(first: Aligned, second: Aligned) -> bool:
    """Tell whether one may be the other stretched, which keypoints do not survive."""
    (height, width), (other_height, other_width) = first.picture.shape, second.picture.shape
    ratio = width * other_height / (height * other_width)
    return max(ratio, 1 / ratio) > STRETCHED


def _score(alignment: Alignment) -> float:
    return alignment.score


def _starts(first: Aligned, second: Aligned) -> Iterator[Matrix]:
    whole = (0.0, 0.0, 1.0, 1.0)
    yield box_map(first, whole, second, whole)
    if first.frame != second.frame:
        # borders that only one of them seems to have
        yield box_map(first, _outer(first.frame), second, _outer(second.frame))
    height, width = first.picture.shape
    matches = registration.match_keypoints(first.points, second.points, (width / 2, height / 2))
    yield from registration.hypotheses(first.points, second.points, matches, HYPOTHESES)
    for box in second.parts:
        yield box_map(first, whole, second, box)
    for box in first.parts:
        yield box_map(first, box, second, whole)


def _differ(one: Box, other: Box) -> bool:
    return max(abs(place - there) for place, there in zip(one, other, strict=True)) > NO_BORDER


def _outer(frame: Box) -> Box:
    """Give the whole picture in shares of its frame."""
    left, top, right, bottom = frame
    width, height = right - left, bottom - top
    return -left / width, -top / height, (1 - left) / width, (1 - top) / height


def box_map(first: Aligned, box: Box, second: Aligned, other: Box) -> Matrix:
    """Give the map that takes a box of the first working picture to one of the second."""
    axes = []
    for low, high, low_other, high_other, size, size_other in zip(
        box[:2], box[2:], other[:2], other[2:], first.picture.shape[::-1], second.picture.shape[::-1], strict=True
    ):
        scale = (high_other - low_other) * size_other / ((high - low) * size)
        axes.append((scale, low_other * size_other - 0.5 - scale * (low * size - 0.5)))
    (x_scale, x), (y_scale, y) = axes
    return np.array([[x_scale, 0, x], [0, y_scale, y]])


def _refined(first: Aligned, second: Aligned, start: Matrix, worth: float) -> Iterator[Alignment]:
    """Refine an alignment; on smooth pictures coarse steps spoil a good start, so they are tried second."""
    correlation = _coarse_correlation(first, second, start)
    sign = 1.0 if correlation >= 0 else -1.0
    fine = _scored(first, second, registration.refine(first.middle, sign * second.middle, start, steps=8, stride=2))
    yield fine
    if worth < fine.score < GOOD and abs(correlation) >= HOPELESS:
        map_ = registration.refine(first.coarse, sign * second.coarse, start, steps=6, stride=2)
        yield _scored(first, second, registration.refine(first.middle, sign * second.middle, map_, steps=8, stride=2))


def _coarse_correlation(first: Aligned, second: Aligned, map_: Matrix) -> float:
    moved, inside = registration.warp(second.coarse, map_, first.coarse.shape)
    if not inside.any():
        return 0.0
    one, two = first.coarse[inside], moved[inside]
    one, two = one - one.mean(), two - two.mean()
    return float((one * two).sum() / (np.sqrt(np.square(one).sum() * np.square(two).sum()) + 1e-6))


def _scored(first: Aligned, second: Aligned, map_: Matrix) -> Alignment:
    moved, inside = registration.warp(second.fine, map_, first.fine.shape)
    correlations = block_correlations(first.fine, moved, inside)
    return Alignment(float(np.abs(correlations).mean()) if len(correlations) else 0.0, map_)


def block_correlations(first: Floats, second: Floats, inside: npt.NDArray[np.bool_]) -> Floats:
    """Give the correlations of the more detailed 60 % of the blocks; none when there are too few."""
    whole = _blocks(inside).all(axis=1)
    one, two = (blocks[whole] - blocks[whole].mean(axis=1, keepdims=True) for blocks in map(_blocks, (first, second)))
    detail, other = (np.sqrt(np.square(blocks).mean(axis=1)) for blocks in (one, two))
    telling = np.maximum(detail, other) > MIN_DETAIL
    if np.count_nonzero(telling) < MIN_BLOCKS:
        return np.empty(0, np.float32)
    both = np.sqrt(detail * other)
    telling &= both >= np.percentile(both, 40)
    return np.asarray((one * two).mean(axis=1)[telling] / (detail * other + 1e-3)[telling])


def _blocks(picture: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Cut [H, W] into [N, BLOCK * BLOCK]; the remainder at the right and below is dropped."""
    rows, columns = (side // BLOCK for side in picture.shape)
    cut = picture[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return cut.swapaxes(1, 2).reshape(-1, BLOCK * BLOCK)


def band_pass(picture: Floats, sigma: float) -> Floats:
    """Band-pass a picture around a scale and divide by the local contrast, so that its tone does not matter."""
    band = blurred(picture, sigma) - blurred(picture, 4 * sigma)
    contrast = np.sqrt(blurred(np.square(band), 8 * sigma))
    return band / (contrast + 0.3 * float(contrast.mean()) + 0.5)
