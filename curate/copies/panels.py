"""Panels: the parts of a figure that stand side by side, with an even gutter or a seam between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import maximum_filter1d, median_filter

from .grey import BORDER_TOLERANCE, Pixels

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a part, in shares of width and height."""

SIDE: Final = 256
"""Longer side in pixels at which panels are searched."""

MIN_SIDE: Final = 0.15
"""Of a panel, as a share of the figure's side."""

DEPTH: Final = 4
"""Cuts within cuts at most: rows of columns, and these cut once more either way."""

SEAM: Final = 3.0
"""How much stronger than beside it the edge of a seam is."""

SEAM_ROWS: Final = 0.6
"""Share of a seam's length on which there is an edge."""

_BESIDE = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of a figure, by reading order.

    Attributes:
        panels: those in which no other part was found; none where the figure is one picture.
        groups: those that hold several, such as a row of panels, or one panel with an even band within.
    """

    panels: list[Box]
    groups: list[Box]


def find_layout(grey: Pixels) -> Layout:
    """Give the panels and groups of panels of a figure, uint8 [H, W]."""
    factor = min(1.0, SIDE / max(grey.shape))
    size = max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    height, width = small.shape
    layout = Layout([], [])
    _, *parts = _cut(small, 0, 0, (int(MIN_SIDE * height), int(MIN_SIDE * width)), DEPTH)
    for (left, top, right, bottom), is_panel in parts:
        boxes = layout.panels if is_panel else layout.groups
        boxes.append((left / width, top / height, right / width, bottom / height))
    return layout


def find_panels(grey: Pixels) -> list[Box]:
    """Give the panels of a figure, uint8 [H, W], by reading order; none where it is one picture."""
    return find_layout(grey).panels


def _cut(
    grey: Pixels, left: int, top: int, least: tuple[int, int], depth: int
) -> Iterator[tuple[tuple[int, int, int, int], bool]]:
    """Give the picture, the parts into which it is cut, and theirs, each with whether it is not cut."""
    height, width = grey.shape
    box = left, top, left + width, top + height
    for columns in (True, False):
        turned = grey if columns else grey.T
        parts = _parts(turned, least[1] if columns else least[0]) if depth else []
        if len(parts) > 1:
            yield box, False
            for start, end in parts:
                if columns:
                    yield from _cut(grey[:, start:end], left + start, top, least, depth - 1)
                else:
                    yield from _cut(grey[start:end], left, top + start, least, depth - 1)
            return
    yield box, True


def _parts(grey: Pixels, least: int) -> list[tuple[int, int]]:
    """Give start and end of the parts into which gutters and seams divide the columns."""
    cuts = sorted([*_gutters(grey), *((place, place) for place in _seams(grey))])
    parts, start = [], 0
    for cut_start, cut_end in [*cuts, (grey.shape[1], grey.shape[1])]:
        if cut_start - start >= least:
            parts.append((start, cut_start))
            start = cut_end
        elif cut_start <= start or not parts:
            start = max(start, cut_end)
    return parts


def _gutters(grey: Pixels) -> Iterator[tuple[int, int]]:
    """Give start and end of the runs of even columns of one level that have content on both sides."""
    some = grey[::4]  # a quarter of the pixels tells it as well
    level = np.partition(some, len(some) // 2, axis=0)[len(some) // 2]
    far = cv2.absdiff(grey, np.broadcast_to(level, grey.shape)) > BORDER_TOLERANCE
    even = np.concatenate([[False], far.mean(0) < 0.02, [False]])
    edges = np.flatnonzero(even[1:] != even[:-1]).reshape(-1, 2)
    for start, end in edges:
        if start > 0 and end < grey.shape[1]:
            yield int(start), int(end)


def _seams(grey: Pixels) -> npt.NDArray[np.intp]:
    """Give the columns at which another picture begins: an edge along the whole height, and none beside it."""
    if grey.shape[1] < 2 * _BESIDE:
        return np.empty(0, np.intp)
    steps = cv2.absdiff(grey[:, 1:], grey[:, :-1])
    mean = cv2.reduce(steps, 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)[0]
    usual = median_filter(mean, 2 * _BESIDE + 1, mode="mirror")
    highest = maximum_filter1d(mean, 2 * _BESIDE + 1, mode="mirror")
    likely = np.flatnonzero((mean > SEAM * usual + 2) & (mean == highest))
    beside = (
        cv2.boxFilter(steps, cv2.CV_32F, (2 * _BESIDE + 1, 1), borderType=cv2.BORDER_REFLECT) if len(likely) else steps
    )
    edge = (steps[:, likely] > 2 * beside[:, likely]).mean(0)
    return likely[edge > SEAM_ROWS] + 1
