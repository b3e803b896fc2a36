"""Sketches: reduced pictures that can be aligned and compared where the picture itself is not available.

Brightness and contrast are removed; only the sign and strength of the detail remain, in two bits per pixel of the
working picture. Outlines can be recognised in it; grey levels, colours and fine print cannot.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from . import grey
from .grey import Floats, Pixels, blurred

_FINEST, _COARSEST = 0.4, 10.0
"""Scales between which detail is kept, in pixels of the working picture."""

_STRONG: Final = 0.95
"""Detail, in local standard deviations, that counts as strong."""

_GAIN: Final = 16.0
_LEVELS: Final = np.array([-1.5, -0.45, 0.45, 1.5], np.float32) * np.float32(_GAIN)
_LARGEST: Final = 3 * _GAIN


@dataclass(frozen=True, slots=True)
class Sketch:
    """The sketch of one picture, about 4 kB.

    Attributes:
        width, height: of the working picture.
        enlarged: sides of the working picture over those of the original picture, at least 1.
        levels: two bits a pixel, row by row, 0 the darkest, four pixels to the byte, the first in the highest bits.
    """

    width: int
    height: int
    enlarged: float
    levels: bytes


def sketch(picture: Pixels) -> Sketch | None:
    """Take the sketch of a grey picture, uint8 [H, W]; None when it is tiny, a strip or near-uniform."""
    small = grey.working_picture(picture)
    if small is None:
        return None
    levels = np.digitize(whiten(small), [-_STRONG * _GAIN, 0, _STRONG * _GAIN]).astype(np.uint8).ravel()
    four = np.pad(levels, (0, -len(levels) % 4)).reshape(-1, 4)
    packed = four[:, 0] << 6 | four[:, 1] << 4 | four[:, 2] << 2 | four[:, 3]
    height, width = small.shape
    return Sketch(width, height, grey.enlargement(small, picture), packed.tobytes())


def whiten(small: Floats) -> Floats:
    """Remove brightness and contrast from a working picture; float32 [H, W] around 0."""
    band = blurred(small, _FINEST) - blurred(small, _COARSEST)
    contrast = np.sqrt(blurred(np.square(band), 1.6 * _COARSEST))
    flat = band / (contrast + 0.3 * float(contrast.mean()) + 0.5)
    return np.clip(flat * _GAIN, -_LARGEST, _LARGEST).astype(np.float32)


def reconstruct(kept: Sketch) -> Floats:
    """Reconstruct the output of `whiten` from a sketch, as far as it allows; float32 [height, width].

    Raises:
        ValueError: the sketch has too few levels for its size.
    """
    packed = np.frombuffer(kept.levels, np.uint8)
    levels = (packed[:, None] >> np.array([6, 4, 2, 0], np.uint8) & 3).ravel()
    return _LEVELS[levels[: kept.width * kept.height]].reshape(kept.height, kept.width)
