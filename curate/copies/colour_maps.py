"""Colour maps: pictures whose brightness is shown in colours, of which some maps make dark and bright alike.

The luminance of most maps (hot, viridis, bone) rises with what they show. That of others rises and falls again, so the
luminance of such a picture resembles no grey copy of it.
"""

from functools import cache
from typing import Final

import cv2
import numpy as np
from PIL import Image

from .grey import Pixels

MAPS: Final = {"jet": (cv2.COLORMAP_JET, 60), "rainbow": (cv2.COLORMAP_RAINBOW, 60), "turbo": (cv2.COLORMAP_TURBO, 25)}
"""Maps of OpenCV whose luminance falls somewhere, and how far from their colours three in four pixels of a picture may
be, in levels of RGB: JPEG moves them by up to 60. Photographs and figures are 80 or more away from jet, 30 from turbo.
"""

_RIVALS: Final = {
    name: getattr(cv2, f"COLORMAP_{name.upper()}")
    for name in ("hot", "autumn", "inferno", "magma", "plasma", "viridis", "cividis", "parula")
}
"""Maps whose luminance only rises; some of their colours are those of jet."""

COLOURFUL: Final = 24.0
"""Mean difference between the largest and the least channel above which a picture may be in the colours of a map."""

_SAMPLES = 32
_BITS = 5
"""Bits of a channel by which nearest colours are looked up."""


def brightness(image: Image.Image) -> Pixels:
    """Give what a picture shows in grey, uint8 [H, W]: its luminance, or the values behind the colours of a known map.

    Args:
        image: of mode L, RGB or YCbCr.
    """
    name = colour_map(image)
    if name is not None:
        return _nearest(name)[0][_cell(np.asarray(image.convert("RGB")))]
    if image.mode == "YCbCr":  # as decoders give it, which spares two conversions
        return np.asarray(image.getchannel(0))
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def colour_map(image: Image.Image) -> str | None:
    """Name the map of `MAPS` in whose colours a picture is; None for most."""
    if image.mode == "L":
        return None
    few = image.resize((_SAMPLES, _SAMPLES), Image.Resampling.NEAREST).convert("RGB")
    pixels = np.asarray(few)
    if float(np.ptp(pixels, axis=-1).mean()) < COLOURFUL:
        return None
    cells = _cell(pixels)
    near = [name for name in MAPS if np.percentile(_nearest(name)[1][cells], 75) <= MAPS[name][1]]
    if not near:
        return None
    nearest = min([*near, *_RIVALS], key=lambda name: float(_nearest(name)[1][cells].mean()))
    return nearest if nearest in near else None


def _cell(pixels: Pixels) -> np.ndarray:
    """Give the place of each colour, uint8 [..., 3], in the tables of `_nearest`."""
    red, green, blue = np.moveaxis(pixels.astype(np.int32) >> (8 - _BITS), -1, 0)
    return np.asarray((red << 2 * _BITS) | (green << _BITS) | blue)


@cache
def _nearest(name: str) -> tuple[Pixels, np.ndarray]:
    """Give for all colours of `_BITS` bits the value whose colour is nearest, and how far it is in levels."""
    ramp = np.arange(256, dtype=np.uint8)[None]
    colours = cv2.applyColorMap(ramp, MAPS[name][0] if name in MAPS else _RIVALS[name])[0, :, ::-1].astype(np.float32)
    levels = (np.arange(2**_BITS, dtype=np.float32) + 0.5) * 2 ** (8 - _BITS) - 0.5
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    squares = np.square(grid).sum(1)[:, None] - 2 * grid @ colours.T + np.square(colours).sum(1)
    return squares.argmin(1).astype(np.uint8), np.sqrt(np.maximum(squares.min(1), 0))
