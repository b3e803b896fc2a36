"""A picture prepared for alignment: its bands, keypoints and parts, each calculated when it is first asked for."""

from functools import cached_property
from typing import Final

import numpy as np

from . import drawings, grey, keypoints
from .grey import Floats, Pixels, blurred
from .panels import Box, Layout, find_layout

KEYPOINTS: Final = 120

FINE_SIDE, FINE_KEYPOINTS = 2 * grey.WORKING_SIDE, 240
"""Side of the square that has as many pixels as a figure in which the keypoints of its panels are searched; these."""

COARSE, MIDDLE = 3.0, 1.2
"""Scales at which an alignment is refined, in pixels of the working picture."""

FINE: Final = 3.0
"""Scale above which brightness is removed before detail is compared."""

NO_BORDER: Final = 0.01
"""The largest border of a panel, in sides of the figure, that is none."""

SIZES: Final = 3
"""Sizes of a picture that are kept."""


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


class Alignable:
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
    def of_sketch(cls, picture: Floats, enlarged: float) -> "Alignable":
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
    def fine_points(self) -> keypoints.Keypoints:
        """Its keypoints at `FINE_SIDE`, in places and scales of the working picture: those of its panels too."""
        large = self.at(FINE_SIDE)
        return self.points if large is None else keypoints.detect(large.picture, FINE_KEYPOINTS).at(self.picture.shape)

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


def _differ(one: Box, other: Box) -> bool:
    return max(abs(place - there) for place, there in zip(one, other, strict=True)) > NO_BORDER


def band_pass(picture: Floats, sigma: float) -> Floats:
    """Band-pass a picture around a scale and divide by the local contrast, so that its tone does not matter."""
    band = blurred(picture, sigma) - blurred(picture, 4 * sigma)
    contrast = np.sqrt(blurred(np.square(band), 8 * sigma))
    return band / (contrast + 0.3 * float(contrast.mean()) + 0.5)
