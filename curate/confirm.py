"""Whether two pictures are copies of one another: align their pixels, then compare the fine detail.

Films of different patients are alike at low frequencies, so only what is left after a high-pass counts, block by
block: the median block is not moved by an arrow, a letter or a bar.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from . import grey, keypoints, registration
from .grey import Floats, Pixels
from .registration import Matrix

KEYPOINTS: Final = 120
HYPOTHESES: Final = 3
FINE: Final = 3.0
"""Sigma of the high-pass, in pixels of the working picture."""

BLOCK: Final = 12
MIN_BLOCKS: Final = 16
MIN_SHARE: Final = 0.5
"""The share of the smaller picture that must lie on the other."""

ENOUGH: Final = 0.75
"""A likeness at which no other alignment is tried."""

COPY: Final = 0.5
"""The least likeness of a copy; `benchmarks/duplicates_accuracy.py` measures both sides of it."""


@dataclass(frozen=True, slots=True)
class Match:
    """What the comparison of two pictures gave.

    Attributes:
        same: whether they are copies.
        likeness: median over blocks of the normalised correlation of fine detail, -1 to 1.
        share: how much of the smaller picture lies on the other, 0 to 1.
        turn: by how many degrees (0, 90, 180, 270, counter-clockwise) the first is turned to give the second.
        flipped: whether the first was mirrored left to right before that.
        zoom: by how much the first is enlarged on the second, when both have the same number of pixels.
    """

    same: bool
    likeness: float
    share: float
    turn: int
    flipped: bool
    zoom: float


NO_MATCH: Final = Match(False, 0.0, 0.0, 0, False, 1.0)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture made ready to be compared with several others; about 200 kB."""

    picture: Floats
    coarse: Floats
    middle: Floats
    fine: Floats
    points: keypoints.Keypoints


def prepare(picture: Pixels) -> Prepared | None:
    """Make a grey picture, uint8 [H, W], ready; None when it is tiny, a strip or near-uniform.

    Any size will do; more than 256 pixels a side add nothing.
    """
    small = grey.working(picture)
    if small is None:
        return None
    coarse, middle = (_levelled(ndimage.gaussian_filter(small, s) - ndimage.gaussian_filter(small, 4 * s), 8 * s) for s in (3.0, 1.2))
    fine = ndimage.gaussian_filter(small, 0.5) - ndimage.gaussian_filter(small, FINE)
    return Prepared(small, coarse, middle, fine, keypoints.detect(small, KEYPOINTS))


def compare(first: Prepared | None, second: Prepared | None) -> Match:
    """Align two pictures and compare them; the order of the two does not matter."""
    if first is None or second is None:
        return NO_MATCH
    best = NO_MATCH
    for map_ in _starts(first, second):
        match = _judged(first, second, map_)
        if match.likeness > best.likeness:
            best = match
        if best.likeness >= ENOUGH:
            break
    return best


def _starts(first: Prepared, second: Prepared):
    yield _frame_on_frame(first.picture.shape, second.picture.shape)
    height, width = first.picture.shape
    matches = registration.match(first.points, second.points, (width / 2, height / 2))
    yield from registration.hypotheses(first.points, second.points, matches, HYPOTHESES)


def _frame_on_frame(shape: tuple[int, ...], other: tuple[int, ...]) -> Matrix:
    height, width = other[0] / shape[0], other[1] / shape[1]
    return np.array([[width, 0, (width - 1) / 2], [0, height, (height - 1) / 2]])


def _judged(first: Prepared, second: Prepared, map_: Matrix) -> Match:
    map_ = registration.refined(first.coarse, second.coarse, map_, 6)
    map_ = registration.refined(first.middle, second.middle, map_, 8)
    return _scored(first, second, map_)


def _scored(first, second, map_):
    moved, inside = registration.warped(second.fine, map_, first.fine.shape)
    determinant = abs(np.linalg.det(map_[:, :2]))
    share = inside.sum() / min(first.fine.size, second.fine.size / max(determinant, 1e-6))
    likeness, blocks = _likeness(first.fine, moved, inside)
    return Match(bool(likeness >= COPY and share >= MIN_SHARE), likeness, float(share), 0, bool(np.linalg.det(map_[:, :2]) < 0), determinant**0.5)

def _likeness(first, moved, inside):
    h, w = (n // BLOCK * BLOCK for n in first.shape)
    def cut(a): return a[:h,:w].reshape(h//BLOCK,BLOCK,w//BLOCK,BLOCK).swapaxes(1,2).reshape(-1,BLOCK*BLOCK)
    a,b=cut(first),cut(moved); ok=cut(inside).all(1)
    a=a[ok];b=b[ok]
    if not len(a): return 0.0,0
    a=a-a.mean(1,keepdims=True);b=b-b.mean(1,keepdims=True)
    ea=np.sqrt((a*a).mean(1));eb=np.sqrt((b*b).mean(1))
    e=np.minimum(ea/np.median(ea+1e-6),eb/np.median(eb+1e-6))
    tex=(np.maximum(ea,eb)>0.7)
    if tex.sum()<MIN_BLOCKS: return 0.0,0
    n=(a*b).mean(1)/(ea*eb+1e-3)
    # blocks ranked by energy of the weaker: median over textured half
    E=np.sqrt(ea*eb); thr=np.percentile(E,40)
    s=tex&(E>=thr)
    return float(np.median(n[s])),int(s.sum())


def _levelled(band: Floats, sigma: float) -> Floats:
    """Divide a band by its local contrast, so that a change of tone leaves it as it was."""
    contrast = np.sqrt(ndimage.gaussian_filter(np.square(band), sigma))
    return band / (contrast + 0.3 * float(contrast.mean()) + 0.5)
