"""Fingerprints: a few hundred bytes of an image, enough to search for its copies without its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self, TypeAlias

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from . import grey, keypoints
from .grey import Floats, Pixels
from .panels import find_panels

KEYPOINTS: Final = 48
BITS: Final = len(keypoints.ORDERS) + 1
"""Of a key: the sign of each coefficient, and whether the blob is bright."""

FINGERPRINT: Final = np.dtype(
    [
        ("hash", "<u8", (4,)),
        ("width", "<u2"),
        ("height", "<u2"),
        ("count", "<u4"),
        ("keys", "<u4", (KEYPOINTS,)),
        ("places", "u1", (KEYPOINTS, 4)),
        ("doubts", "u1", (KEYPOINTS, 2)),
    ]
)
"""One fingerprint, 520 bytes.

Fields:
    hash: 256 signs of the lowest 16 x 16 DCT coefficients of the trimmed picture, row by row; the first is 0.
    width, height: of the working picture; both 0 where the image is tiny, a strip or near-uniform and
        therefore matches nothing.
    count: number of keypoints; the places beyond are 0.
    keys: the surroundings of each keypoint, `BITS` bits.
    places: x and y in 256ths of width and height; scale in 32nds of an octave; angle in 256ths of a turn.
    doubts: the two least sure bits of each key (low 5 bits); the top bit of the first says that the
        surroundings were mirrored, that of the second that this was unsure.
"""

Fingerprint: TypeAlias = npt.NDArray[np.void]
"""An array without dimensions of `FINGERPRINT`."""

Fingerprints: TypeAlias = npt.NDArray[np.void]
"""Fingerprints of many images, [N] of `FINGERPRINT`."""

SQUARE: Final = 1.15
"""Longer side over shorter up to which a picture counts as a square."""

MAX_PANELS: Final = 12

FEW_KEYPOINTS: Final = 12
"""An image with fewer keypoints is searched by its hash in all orientations; many images may share that hash."""

MIRROR_MASK: Final = np.uint32(sum(1 << bit for bit, odd in enumerate(keypoints.IS_ODD) if odd))
"""The bits of a key that change when its surroundings are mirrored."""

UNSURE_MIRROR: Final = 0.25
"""Clearness (`Keypoints.handed`) below which a keypoint may be found mirrored the other way in a copy."""

ORIENTATIONS: Final = tuple(
    (flip_x, flip_y, turn) for turn in (False, True) for flip_y in (False, True) for flip_x in (False, True)
)
_HASH_SIDE = 16
_SAMPLES = 32
_SURE: Final = 0.01
"""Above 0, so that values that differ from 0 by rounding have one sign on every processor: mixes store the hash."""


@dataclass(frozen=True, slots=True)
class Views:
    """The fingerprints of many images: of each the whole, and of some other views.

    Attributes:
        whole: of the whole images, [N].
        others: of the other views, [M].
        owner: the image of each of these, int64 [M], ascending.
    """

    whole: Fingerprints
    others: Fingerprints
    owner: npt.NDArray[np.int64]

    @property
    def is_middle(self) -> npt.NDArray[np.bool_]:
        """Which of the other views are middles, [M]: the first of each image."""
        return np.diff(self.owner, prepend=-1) != 0

    @classmethod
    def of(cls, prints: Sequence[Fingerprints]) -> Self:
        """Collect what `view_fingerprints` gives for each image."""
        return cls.of_bytes([one.tobytes() for one in prints])

    @classmethod
    def of_bytes(cls, prints: Sequence[bytes]) -> Self:
        """Collect the bytes of what `view_fingerprints` gives for each image."""
        counts = np.array([len(one) // FINGERPRINT.itemsize for one in prints], np.int64)
        joined = np.frombuffer(b"".join(prints), FINGERPRINT)
        is_whole = np.zeros(len(joined), bool)
        is_whole[np.cumsum(counts) - counts] = True
        return cls(joined[is_whole], joined[~is_whole], np.repeat(np.arange(len(prints)), counts)[~is_whole])


@dataclass(frozen=True, slots=True)
class StackedViews:
    """The views of many images in one array.

    Attributes:
        prints: their fingerprints, those of the whole images first, [R].
        image: the image of each, int64 [R].
        is_view: whether it is another view than the whole, [R].
        is_middle: whether it is a middle, [R].
    """

    prints: Fingerprints
    image: npt.NDArray[np.int64]
    is_view: npt.NDArray[np.bool_]
    is_middle: npt.NDArray[np.bool_]


def view_fingerprints(picture: Pixels) -> Fingerprints:
    """Take the fingerprints of a grey picture, uint8 [H, W]: of the whole first, then of other views of it, [V].

    These are: its middle, which is what a narrow crop shows; the picture squeezed to a square, which is how its
    squeezed copies look too, where it is no square; its panels, if it is a figure.
    """
    trimmed = grey.trimmed(picture)
    height, width = trimmed.shape
    middle = fingerprint(trimmed[height // 4 : height - height // 4, width // 4 : width - width // 4])
    others = []
    if max(height, width) > SQUARE * min(height, width) and min(height, width) >= grey.MIN_SIDE:
        side = round((height * width) ** 0.5)
        others.append(np.asarray(Image.fromarray(trimmed).resize((side, side), Image.Resampling.BILINEAR)))
    for left, top, right, bottom in find_panels(trimmed)[:MAX_PANELS]:
        rows = slice(round(top * height), round(bottom * height))
        others.append(trimmed[rows, round(left * width) : round(right * width)])
    taken = [fingerprint(picture), middle, *(print_ for print_ in map(fingerprint, others) if print_["width"])]
    return np.array(taken, FINGERPRINT)


def fingerprint(picture: Pixels) -> Fingerprint:
    """Take the fingerprint of a grey picture, uint8 [H, W]."""
    print_ = np.zeros((), FINGERPRINT)
    small = grey.working_picture(picture)
    if small is None:
        return print_
    print_["height"], print_["width"] = small.shape
    print_["hash"] = _hash(small)
    _add_keypoints(print_, keypoints.detect(small, KEYPOINTS))
    return print_


def whole_hash(picture: Pixels) -> npt.NDArray[np.uint64]:
    """Give the hash of a grey picture, uint8 [H, W], alone, [4]; all 0 where its fingerprint is empty."""
    small = grey.working_picture(picture)
    return np.zeros(4, np.uint64) if small is None else _hash(small)


def is_distinctive(print_: Fingerprint) -> bool:
    """Tell whether the fingerprint finds a lossless copy for certain."""
    return bool(print_["count"] >= FEW_KEYPOINTS)


def hash_to_hex(print_: Fingerprint) -> str:
    """Give the hash as `imagehash` writes one of its own, 64 hex digits; `imagehash.hex_to_hash` reads it."""
    bits = np.unpackbits(print_["hash"].view(np.uint8)).reshape(_HASH_SIDE, _HASH_SIDE)
    return str(imagehash.ImageHash(bits.astype(bool)))


def transform_hash(hashes: npt.NDArray[np.uint64], flip_x: bool, flip_y: bool, turn: bool) -> npt.NDArray[np.uint64]:
    """Give the hashes [N, 4] of the pictures mirrored left to right, then top to bottom, then transposed."""
    bits = np.unpackbits(hashes.view(np.uint8), axis=1).reshape(-1, _HASH_SIDE, _HASH_SIDE)
    odd = np.arange(_HASH_SIDE) % 2
    mask = (flip_x * odd[None, :] ^ flip_y * odd[:, None]).astype(np.uint8)
    mask[0, 0] = 0
    bits = bits ^ mask
    bits = bits.transpose(0, 2, 1) if turn else bits
    return np.packbits(bits.reshape(-1, _HASH_SIDE**2), axis=1).view("<u8")


def _hash(small: Floats) -> npt.NDArray[np.uint64]:
    height, width = small.shape
    low = _low_orders(height) @ small.astype(np.float64) @ _low_orders(width).T
    bits = low > _SURE
    bits[0, 0] = False
    return np.packbits(bits).view("<u8")


@lru_cache(maxsize=1024)
def _low_orders(length: int) -> npt.NDArray[np.float64]:
    """Give what averages `length` samples into 32 and takes the lowest 16 orders of their DCT-II, [16, length]."""
    edges = np.arange(_SAMPLES + 1) * length / _SAMPLES
    places = np.arange(length)
    shared = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    orders, samples = np.arange(_HASH_SIDE)[:, None], np.arange(_SAMPLES)
    cosines = np.cos(np.pi * orders * (2 * samples + 1) / (2 * _SAMPLES)) * (2 / _SAMPLES) ** 0.5
    return cosines @ np.clip(shared, 0, None) * (_SAMPLES / length)


def _add_keypoints(print_: Fingerprint, points: keypoints.Keypoints) -> None:
    count = len(points)
    if not count:
        return
    print_["count"] = count
    weights = np.left_shift(np.uint32(1), np.arange(BITS - 1, dtype=np.uint32))
    print_["keys"][:count] = ((points.coefficients > 0) * weights).sum(1) | (
        points.bright.astype(np.uint32) << np.uint32(BITS - 1)
    )
    places = [
        points.x * 256 / print_["width"],
        points.y * 256 / print_["height"],
        np.log2(points.sigma) * 32,
        points.angle * (128 / np.pi) % 256,
    ]
    print_["places"][:count] = np.clip(np.stack(places, 1), 0, 255).astype(np.uint8)
    doubts = np.argsort(np.abs(points.coefficients), axis=1, kind="stable")[:, :2].astype(np.uint8)
    doubts[:, 0] |= points.mirrored.astype(np.uint8) << 7
    doubts[:, 1] |= (points.handed < UNSURE_MIRROR).astype(np.uint8) << 7
    print_["doubts"][:count] = doubts
