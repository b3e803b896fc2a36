"""Inks: what was laid over a picture, such as an arrow, a letter, a frame or a watermark.

An ink has one grey level and one opacity: where it lies, the picture is `(1 - opacity) * below + opacity * level`. So
the pixels that differ from the picture below lie on one line per ink; those of another picture are scattered.
"""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from .grey import Floats
from .tone import retoned

Mask = npt.NDArray[np.bool_]

TOLERANCE: Final = 8.0
"""Grey levels within which pixels agree."""

OPACITIES: Final = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.45, 0.4, 0.35, 0.3)
INKS: Final = 3
"""Inks at most, such as a white arrow, its black outline and a letter."""

MAIN: Final = 12.0
"""The least share of the pixels that differ which one ink covers, times the grey levels by which it stands out.

Of an arrow or a watermark that is 17 or more. What differs between neighbouring slices has all greys and little
contrast: below 9.
"""

CERTAIN: Final = 25.0
"""The same above which the ink may hide as much as it adds, as an arrow does on a picture full of detail."""

ONE_SIDED: Final = 0.65
"""The most pixels of the picture below that the other lacks, for each of ink: of two pictures each has its own."""

EXPLAINED: Final = 0.7
"""The least part that all inks and their edges must explain."""

MAX_HIDDEN: Final = 0.3
"""The largest share of a picture that inks and their edges may hide."""

MAX_STROKE: Final = 15
"""Pixels that the stroke of an opaque ink is wide at most: what is wider is another picture."""

_SQUARE = np.ones((3, 3), np.uint8)
_BLOCK = np.ones((MAX_STROKE, MAX_STROKE), np.uint8)


def lifted(below: Floats, inked: Floats, inside: Mask, sharpest: float) -> Floats | None:
    """Take the inks off a picture; None where inks do not explain what differs.

    Args:
        below: the picture without inks, float32 [H, W] of 0 to 255.
        inked: the same picture with them, aligned; its tone may be another.
        inside: the pixels that both cover.
        sharpest: the least scale in pixels of their detail, as of their edges.
    """
    radius = round(1.5 * sharpest + 0.5)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    toned = retoned(below, inked, inside)
    differs = inside & _differs(inked, toned)
    count = np.count_nonzero(differs)
    if count < 8:
        return inked
    missing = np.count_nonzero(inside & _differs(below, retoned(inked, below, inside)))
    clean, rest, hidden = inked.copy(), differs.copy(), np.zeros_like(differs)
    for number in range(INKS):
        level, opacity = _ink(toned[rest], inked[rest])
        covers = rest & (np.abs(inked - (1 - opacity) * toned - opacity * level) < TOLERANCE)
        around = inside & (cv2.dilate(covers.astype(np.uint8), disc) > 0)
        edge = around & rest & _between(inked, toned, level) if radius > 1 else covers
        share = np.count_nonzero(covers | edge) / count
        weight = share * float(np.median(np.abs(inked - toned)[covers])) if share else 0.0
        if share < 0.05 or (number == 0 and weight < MAIN):
            break
        # on enlarged pictures all is edge, and edges stand out between any two of them
        if number == 0 and (weight < CERTAIN or radius > 1) and missing > ONE_SIDED * count:
            return None
        if opacity == 1.0 and cv2.erode(covers.astype(np.uint8), _BLOCK).any():
            return None
        if opacity < 1:
            clean[covers] = (inked[covers] - opacity * level) / (1 - opacity)
            around &= ~covers
        hidden |= around
        clean[around] = toned[around]
        rest &= ~around & ~covers
    explained = np.count_nonzero(differs & ~rest)
    if explained < EXPLAINED * count or np.count_nonzero(hidden) > MAX_HIDDEN * np.count_nonzero(inside):
        return None
    return clean


def _differs(picture: Floats, other: Floats) -> Mask:
    """Tell the pixels that the other picture has not even beside them."""
    low, high = cv2.erode(other, _SQUARE) - TOLERANCE, cv2.dilate(other, _SQUARE) + TOLERANCE
    return np.asarray((picture < low) | (picture > high))


def _between(inked: Floats, below: Floats, level: float) -> Mask:
    """Tell the pixels that may be the smooth edge of an opaque ink."""
    low, high = np.minimum(below, level) - TOLERANCE, np.maximum(below, level) + TOLERANCE
    return np.asarray((inked >= low) & (inked <= high))


def _ink(below: Floats, inked: Floats) -> tuple[float, float]:
    """Give level and opacity of the ink that explains most pixels."""
    best = -1, 0.0, 1.0
    for opacity in OPACITIES:
        levels = (inked - (1 - opacity) * below) / opacity
        width = TOLERANCE / opacity
        possible = levels[(levels > -width) & (levels < 255 + width)]
        counts, edges = np.histogram(possible, bins=max(1, int(np.ceil(255 / width))), range=(0, 255))
        place = int(counts.argmax())
        if counts[place] > max(0, best[0]):
            near = np.abs(possible - (edges[place] + edges[place + 1]) / 2) < width
            best = int(counts[place]), float(np.median(possible[near])), opacity
    _, level, opacity = best
    return (level, opacity) if opacity == 1 else _refined(below, inked, level, opacity)


def _refined(below: Floats, inked: Floats, level: float, opacity: float) -> tuple[float, float]:
    """Fit level and opacity to the pixels that nearly have them."""
    for _ in range(2):
        near = np.abs(inked - (1 - opacity) * below - opacity * level) < TOLERANCE
        if np.count_nonzero(near) < 8 or below[near].std() < 1:
            break
        slope, start = np.polyfit(below[near], inked[near], 1)
        opacity = float(np.clip(1 - slope, 0.2, 1))
        level = float(start) / opacity
    return level, opacity
