"""Where a split is cut into shards: before records whose ids say so, so that a record more or less moves no far border.

The borders are local maxima of a digest of the ids (Bjørner, Blass and Gurevich, Content-dependent chunking for
differential compression, the local maximum approach, 2010, https://doi.org/10.1016/j.jcss.2009.06.004). Whether a
record is one depends on the records within reach of it alone.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

Array = np.ndarray[tuple[int], np.dtype[np.int64]]

LARGEST = 2
"""No run of several records is larger than this many times the target."""


def cut(ids: Sequence[str], sizes: Sequence[int], target: int) -> list[tuple[int, int]]:
    """Cut records into runs of about `target` bytes and give the places (first, end) of each.

    A run has at least half of `target`, unless it is the only one or beside a record that is larger than that. It has
    at most `LARGEST` times as many, unless it is one record.
    """
    digests = np.array([int.from_bytes(hashlib.sha256(id_.encode()).digest()[:7]) for id_ in ids], np.int64)
    places = np.cumsum([0, *sizes], dtype=np.int64)
    reach, most = target // 2, target * LARGEST
    runs = pairwise([0, *_local_maxima(digests, places, reach), len(ids)])
    return [part for first, end in runs for part in _divide(digests, places, first, end, reach, most)]


def _local_maxima(digests: Array, places: Array, reach: int) -> list[int]:
    """Give the records with the largest digest within `reach` bytes to both sides, none so near to an end.

    `places` are the places of the records in bytes, and the end of the last one.
    """
    starts = places[:-1]
    rows = pl.DataFrame({"digest": digests, "place": starts, "back": -starts})
    window = f"{max(reach, 1)}i"
    largest = [pl.col("digest").rolling_max_by(by, window, closed="right") for by in ("place", "back")]
    is_largest = rows.select(pl.all_horizontal(pl.col("digest") == most for most in largest)).to_series().to_numpy()
    is_inside = (starts > 0) & (starts >= reach) & (places[-1] - starts >= reach)
    return [int(place) for place in np.flatnonzero(is_largest & is_inside)]


def _divide(digests: Array, places: Array, first: int, end: int, reach: int, most: int) -> Iterator[tuple[int, int]]:
    """Divide a run that is larger than `most` bytes at the largest digest that is not within `reach` of its ends."""
    if end - first == 1 or places[end] - places[first] <= most:
        yield first, end
        return
    inner = np.arange(first + 1, end)
    inside = inner[(places[inner] - places[first] >= reach) & (places[end] - places[inner] >= reach)]
    chosen = inside if len(inside) else inner
    border = int(chosen[np.argmax(digests[chosen])])
    yield from _divide(digests, places, first, border, reach, most)
    yield from _divide(digests, places, border, end, reach, most)
