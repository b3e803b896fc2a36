"""MinHash (Broder 1997) with banding (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4)."""

import numpy as np
from numpy.typing import NDArray

from .shingles import Hashes

BANDS = 20
ROWS = 6
"""Sets of Jaccard similarity s share a band with probability 1 - (1 - s**6)**20: 0.9977 at 0.8, 0.27 at 0.5."""

_DRAWS = np.random.PCG64(seed=20).random_raw(2 * BANDS * ROWS)
_FACTORS = _DRAWS[: BANDS * ROWS] | np.uint64(1)
_SHIFTS = _DRAWS[BANDS * ROWS :]


def bands(hashes: Hashes, starts: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Give a (sets, BANDS) table; sets that share a band's number are likely similar.

    Set i is `hashes[starts[i] : starts[i + 1]]` and must not be empty. Each hash function is multiply-shift
    (Dietzfelbinger et al. 1997) on 64 bits.
    """
    table = np.empty((len(starts) - 1, BANDS), np.uint32)
    if not len(table):
        return table
    for band in range(BANDS):
        folded = np.zeros(len(table), np.uint64)
        for place in range(band * ROWS, (band + 1) * ROWS):
            permuted = (hashes * _FACTORS[place] + _SHIFTS[place]) >> np.uint64(32)
            least = np.minimum.reduceat(permuted, starts[:-1])
            folded = (folded ^ least) * _FACTORS[place]
            folded ^= folded >> np.uint64(31)
        table[:, band] = folded >> np.uint64(32)
    return table
