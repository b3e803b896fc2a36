"""Where a split is cut into shards: before records whose ids say so, so that a record more or less moves no far border.

The borders are local maxima of a digest of the ids (Bjørner, Blass and Gurevich, Content-dependent chunking for
differential compression, the local maximum approach, 2010, https://doi.org/10.1016/j.jcss.2009.06.004). Whether a record
is one depends on the records within reach of it alone.
"""

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

Array = np.ndarray[tuple[int], np.dtype[np.int64]]

LARGEST = 2
"""No shard of several records is larger than this many times the target."""


def cut(ids: Sequence[str], sizes: Sequence[int], target: int) -> list[tuple[int, int]]:
    """Cut records into runs of about `target` bytes and give the places (first, end) of each.

    A run has at least half of `target`, unless it is the only one or a part of one that was too large; it has at most
    twice as many, unless it is one record.
    """
    digests = np.array([int.from_bytes(hashlib.sha256(id_.encode()).digest()[:7]) for id_ in ids], np.int64)
    return _cut(digests, np.array(sizes, np.int64), 0, len(ids), target // 2, target * LARGEST)


def _cut(digests: Array, sizes: Array, first: int, end: int, reach: int, most: int) -> list[tuple[int, int]]:
    """Cut one run at its local maxima; parts that are too large again, at maxima within half of the reach."""
    borders = _local_maxima(digests[first:end], sizes[first:end], reach)
    found: list[tuple[int, int]] = []
    for start, stop in pairwise([first, *(first + border for border in borders), end]):
        if stop - start > 1 and sizes[start:stop].sum() > most:
            found += _cut(digests, sizes, start, stop, reach // 2, most)
        else:
            found.append((start, stop))
    return found


def _local_maxima(digests: Array, sizes: Array, reach: int) -> list[int]:
    """Give the places of the largest digests within `reach` bytes to both sides; none is so near to an end."""
    places = np.cumsum(sizes) - sizes
    if reach < 1:
        return list(range(1, len(sizes)))
    rows = pl.DataFrame({"digest": digests, "place": places, "back": -places})
    largest = [pl.col("digest").rolling_max_by(by, f"{reach}i", closed="right") for by in ("place", "back")]
    is_largest = rows.select(pl.all_horizontal(pl.col("digest") == most for most in largest)).to_series().to_numpy()
    is_inside = (places >= reach) & (sizes.sum() - places >= reach)
    return [int(place) for place in np.flatnonzero(is_largest & is_inside)]
