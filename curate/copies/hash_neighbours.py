"""Search over hashes: pairs of views whose 256 bits are close, or those of the one and of the negative of the other."""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from .fingerprints import FEW_KEYPOINTS, ORIENTATIONS, StackedViews, transform_hash

Numbers: TypeAlias = npt.NDArray[np.int64]

MAX_HASH_DISTANCE: Final = 40
"""Bits of 256 that differ at most."""

NEGATIVE: Final = np.frombuffer(bytes([127] + [255] * 31), "<u8")
"""The bits of a hash that change in the negative of a picture: all but the first, which is always 0."""

NEAR_RANK: Final = 6


def by_hash(views: StackedViews, known: int) -> Numbers:
    """Give pairs of images, int64 [P, 2], one of them not among the first `known`, perhaps repeated.

    Hashes with a common prefix at one of eight places are compared: of all views, and of the negatives of the wholes.
    Images with few keypoints are compared in all orientations.
    """
    wholes = np.flatnonzero(~views.is_view)
    hashes, others = views.prints["hash"][wholes], views.prints["hash"][views.is_view]
    few = np.flatnonzero(views.prints["count"][wholes] < FEW_KEYPOINTS)
    turned = [transform_hash(hashes[few], *orientation) for orientation in ORIENTATIONS[1:]]
    plain = np.concatenate([hashes, *turned])
    rows = np.concatenate([plain, plain ^ NEGATIVE, others])
    image = np.concatenate([wholes, *[few] * len(turned)])
    image = np.concatenate([image, image, views.image[views.is_view]])
    is_view, is_middle = np.arange(len(rows)) >= 2 * len(plain), np.zeros(len(rows), bool)
    is_middle[2 * len(plain) :] = views.is_middle[views.is_view]
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, 256, 32):
        word = start // 64
        key = (
            rows[:, word]
            if start % 64 == 0
            else rows[:, word] << np.uint64(32) | rows[:, (word + 1) % 4] >> np.uint64(32)
        )
        order = np.argsort(key, kind="stable")
        for step in range(1, NEAR_RANK + 1):
            one, two = order[:-step], order[step:]
            some = ~(is_view[one] & is_view[two]) | ~(is_middle[one] | is_middle[two])
            found += [_close_hashes(rows, image, one[some], two[some], known)]
    return np.concatenate(found)


def _close_hashes(rows: npt.NDArray[np.uint64], image: Numbers, one: Numbers, two: Numbers, known: int) -> Numbers:
    found = []
    for start in range(0, len(one), 1 << 18):
        left, right = one[start : start + (1 << 18)], two[start : start + (1 << 18)]
        differ = np.bitwise_count(rows[left] ^ rows[right]).sum(1)
        close = (differ <= MAX_HASH_DISTANCE) & (image[left] != image[right])
        close &= np.maximum(image[left], image[right]) >= known
        found.append(np.stack([image[left[close]], image[right[close]]], 1))
    return np.concatenate(found) if found else np.zeros((0, 2), np.int64)
