"""Images of withheld records, found in other records by their pixels: as they are, coded anew, or a little changed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..copies import confirm, fingerprints
from ..errors import RowError
from ..measure import images
from ..measure.shingles import Hashes

MAX_DISTANCE: Final = 7
"""Bits of 256 by which the hashes of one picture differ at most: at least one of `WORDS` words is equal then."""

WORDS: Final = MAX_DISTANCE + 1
MAX_PIXELS: Final = 1 << 30
"""The images of a mix have passed the limit of its mixture; this one is that of Pillow's buffers."""


@dataclass(frozen=True, slots=True)
class HashIndex:
    """Hashes by the words of which they consist.

    Attributes:
        hashes: uint64 [N, 4].
        words: each of the `WORDS` words of all hashes, ascending, uint32 [WORDS, N].
        order: the hashes in this order, [WORDS, N].
    """

    hashes: Hashes
    words: NDArray[np.uint32]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, hashes: Hashes) -> "HashIndex":
        """Index hashes, uint64 [N, 4]."""
        words = np.ascontiguousarray(hashes).view("<u4").reshape(len(hashes), WORDS).T
        order = np.argsort(words, axis=1, kind="stable")
        return cls(hashes, np.take_along_axis(words, order, 1), order)

    def near(self, one: Hashes) -> NDArray[np.int64]:
        """Give the hashes that differ from one, uint64 [4], in at most `MAX_DISTANCE` bits, ascending."""
        found = [np.zeros(0, np.int64)]
        for known, order, word in zip(self.words, self.order, one.view("<u4"), strict=True):
            first, end = np.searchsorted(known, word, "left"), np.searchsorted(known, word, "right")
            found.append(order[first:end])
        places = np.unique(np.concatenate(found))
        return places[distances(self.hashes[places], one) <= MAX_DISTANCE]


def distances(hashes: Hashes, one: Hashes) -> NDArray[np.int64]:
    """Give the numbers of bits in which hashes, uint64 [N, 4], differ from one, uint64 [4]."""
    return np.bitwise_count(hashes ^ one).sum(1, dtype=np.int64)


def picture_hash(data: bytes) -> Hashes | None:
    """Give the perceptual hash of an image, uint64 [4]; None for a tiny or near-uniform one, which is like many others.

    Raises:
        RowError: it cannot be decoded.
    """
    found = fingerprints.whole_hash(images.decode_reduced(data, MAX_PIXELS))
    return found if found.any() else None


def show_same(one: bytes, other: bytes) -> bool:
    """Whether two images show the same: equal pixels, or copies."""
    try:
        if images.pixel_digest(one, MAX_PIXELS) == images.pixel_digest(other, MAX_PIXELS):
            return True
        pictures = [images.decode_reduced(data, MAX_PIXELS, confirm.SIDE) for data in (one, other)]
    except RowError:
        return False
    return confirm.compare(*map(confirm.prepare, pictures)).same


def read_image(shard: Path, row: int, place: int) -> bytes:
    """Read one image of a record of a shard."""
    file = pq.ParquetFile(shard)
    for number in range(file.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        if row < rows:
            held = file.read_row_group(number, columns=["images"])["images"][row].as_py()
            return bytes(held[place]["bytes"])
        row -= rows
    raise IndexError(f"{shard}: no row {row}")

