"""The working picture of the search for copies: grey, without even borders, of one size, proportions kept."""

from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.floating]

WORKING_SIDE: Final = 128
"""Side of the square that has as many pixels as the working picture."""

MIN_SIDE: Final = 20
"""A picture with a shorter side has too little detail to be distinguished; those of MedMNIST have 28."""

MAX_PROPORTION: Final = 8
"""A strip longer than this many times its width is not a picture."""

BORDER_TOLERANCE: Final = 5
"""Grey levels that JPEG leaves in an even border; skin and tissue vary by more."""

MIN_KEPT: Final = 0.3
"""Share of the picture below which the even part is a background, not a border."""

MIN_CONTRAST: Final = 4.0
"""Standard deviation in grey levels below which a picture is near-uniform."""


def trimmed(grey: Pixels) -> Pixels:
    """Cut away even borders (letterbox bars, frames, empty background); uint8 [H, W] in and out.

    A row or column belongs to a border when 98 % of it is within `BORDER_TOLERANCE` of the outermost one's median.
    A cut that would leave less than `MIN_KEPT` of the picture or a side shorter than `MIN_SIDE` is not made.
    """
    rows, columns = trim(grey)
    return grey[rows, columns]


def trim(grey: Pixels) -> tuple[slice, slice]:
    """Give the rows and columns that `trimmed` keeps."""
    rows, columns = slice(0, grey.shape[0]), slice(0, grey.shape[1])
    for _ in range(2):  # a frame inside a bar
        outer = grey[rows, columns]
        top, bottom, left, right = (_border(side) for side in (outer, outer[::-1], outer.T, outer.T[::-1]))
        inner = outer[top : outer.shape[0] - bottom, left : outer.shape[1] - right]
        if inner.size == outer.size or min(inner.shape) < MIN_SIDE or inner.size < MIN_KEPT * outer.size:
            break
        rows = slice(rows.start + top, rows.stop - bottom)
        columns = slice(columns.start + left, columns.stop - right)
    return rows, columns


def _border(rows: Pixels) -> int:
    """Count the rows that are as even as the first one."""
    level = median(rows[0])
    low, high = max(0, level - BORDER_TOLERANCE), min(255, level + BORDER_TOLERANCE)
    edges = rows[:1]
    size = 1
    while True:  # most pictures have no border: look at one row, then at ever more
        outside = np.count_nonzero((edges < low) | (edges > high), axis=1)
        uneven = outside > 0.02 * rows.shape[1]
        if uneven.any():
            return size - len(edges) + int(uneven.argmax())
        if size == len(rows):
            return size
        edges = rows[size : 2 * size]
        size = min(2 * size, len(rows))


def median(values: Pixels) -> int:
    """Give the median of some pixels, [N], rounded down; NumPy's own takes ten times as long for a few hundred."""
    middle = len(values) // 2
    if len(values) % 2:
        return int(np.partition(values, middle)[middle])
    below, above = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return (int(below) + int(above)) // 2


def working_picture(grey: Pixels, side: int = WORKING_SIDE) -> Floats | None:
    """Give the trimmed picture with about `side`² pixels, float32, or None when it is tiny, a strip or near-uniform."""
    return None if min(grey.shape, default=0) < MIN_SIDE else resized(trimmed(grey), side)


def resized(grey: Pixels, side: int) -> Floats | None:
    """Resize a picture to about `side`² pixels, float32; None for a strip or a near-uniform one."""
    height, width = grey.shape
    if max(height, width) > MAX_PROPORTION * min(height, width):
        return None
    factor = side / (height * width) ** 0.5
    size = max(1, round(width * factor)), max(1, round(height * factor))
    kind = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BILINEAR
    # Pillow's, which calculates in whole numbers and so gives the same on every processor
    small = np.asarray(Image.fromarray(grey).resize(size, kind, reducing_gap=3.0), np.float32)
    return small if small.std() >= MIN_CONTRAST else None


def reduced(grey: Pixels, side: int) -> Pixels:
    """Reduce a picture to about `side`² pixels; smaller ones stay as they are."""
    factor = side / grey.size**0.5
    if factor >= 1:
        return grey
    size = max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))


def enlargement(small: Floats, picture: Pixels) -> float:
    """Give the sides of a working picture over those of the picture that it was made of, at least 1."""
    return float(max(1.0, (small.size / picture.size) ** 0.5))


def blurred(picture: Floats, sigma: float) -> Floats:
    """Blur a picture, float32 [H, W], by a Gaussian of `sigma` pixels; borders are reflected."""
    out = np.empty_like(picture)
    blur(picture, sigma, out)
    return out


def blur(picture: Floats, sigma: float, out: Floats) -> None:
    """Blur a picture into another of the same size, as `blurred`."""
    side = 2 * int(np.ceil(3 * sigma)) + 1
    cv2.GaussianBlur(picture, (side, side), sigma, dst=out, borderType=cv2.BORDER_REFLECT)
