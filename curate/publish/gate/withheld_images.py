"""Images of withheld records, found in other records by their pixels: as they are, coded anew, or a little changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from ...copies import confirm, fingerprints
from ...errors import RowError
from ...measure import images
from ...measure.shingles import Hashes

MAX_DISTANCE: Final = 16
"""Bits of 256 by which the hashes of one picture differ at most, coded anew or a little changed."""

WORDS: Final = 8
"""Parts of a hash of which one at least must be equal: certain to 7 bits, and nearly so to 16, since few bits of a hash
are near 0 and these stand together."""

MAX_PIXELS: Final = 1 << 30
"""The images of a mix have passed the limit of its mixture; this one is that of Pillow's buffers."""


_FULL_SIDE: Final = 1 << 16
"""Sides of an image that is not reduced."""


_REPEATED: Final = 64
"""Images that are remembered, since the records of one image stand near each other."""


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

    def near(self, hashes: Sequence[Hashes]) -> NDArray[np.int64]:
        """Give the places of the hashes near one of these, uint64 [4] each: within `MAX_DISTANCE` bits."""
        found = [np.zeros(0, np.int64)]
        for one in hashes:
            for known, order, word in zip(self.words, self.order, one.view("<u4"), strict=True):
                places = order[np.searchsorted(known, word, "left") : np.searchsorted(known, word, "right")]
                found.append(places[distances(self.hashes[places], one) <= MAX_DISTANCE])
        return np.unique(np.concatenate(found))


def distances(hashes: Hashes, one: Hashes) -> NDArray[np.int64]:
    """Give the numbers of bits in which hashes, uint64 [N, 4], differ from one, uint64 [4]."""
    return np.bitwise_count(hashes ^ one).sum(1, dtype=np.int64)


@lru_cache(maxsize=_REPEATED)
def picture_hashes(data: bytes) -> list[Hashes]:
    """Give the perceptual hashes, uint64 [4], under which a mix may know an image; none of a near-uniform one.

    A JPEG file is measured at reduced scale and other files at their full size. A copy may be of the other kind, and
    borders are found at other places then, so both scales are hashed.

    Raises:
        RowError: it cannot be decoded.
    """
    whole = images.decode_reduced(data, MAX_PIXELS, _FULL_SIDE)
    reduced = images.decode_reduced(data, MAX_PIXELS)
    if reduced.shape == whole.shape:  # not a JPEG file, or a small one
        factor = next(one for one in (8, 4, 2, 1) if one == 1 or min(whole.shape) >= one * images.REDUCED_SIDE)
        reduced = np.asarray(Image.fromarray(whole).reduce(factor))
    found = {hash_.tobytes(): hash_ for hash_ in map(fingerprints.whole_hash, (reduced, whole)) if hash_.any()}
    return list(found.values())


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
