"""Clusters of copies: each copy belongs to a survivor that it was itself confirmed against.

If A is a copy of B and B of C, C need not be a copy of A (two crops of one picture). So there are no chains: the best
image takes all its confirmed copies, then the best of the rest takes those still free, and so on.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Numbers = npt.NDArray[np.int64]


def greedy_clusters(pairs: Numbers, order: Numbers) -> Numbers:
    """Give for each image the place of its cluster's survivor, [N]; its own place where it survives.

    Args:
        pairs: confirmed copies, places of two images, [P, 2].
        order: the places of all images, the best one to keep first, [N].
    """
    centre = np.arange(len(order))
    rank = np.empty_like(order)
    rank[order] = centre
    both = np.concatenate([pairs, pairs[:, ::-1]])
    # sorted by the rank of the one side, so that each image's copies are adjacent
    both = both[np.lexsort((both[:, 1], rank[both[:, 0]]))]
    starts = np.flatnonzero(np.diff(both[:, 0], prepend=-1, append=-1))
    free = np.ones(len(order), bool)
    for start, end in pairwise(starts):
        best = both[start, 0]
        if free[best]:
            copies = both[start:end, 1]
            copies = copies[free[copies]]
            centre[copies] = best
            free[copies] = False
            free[best] = False
    return centre


def components(pairs: Numbers) -> Numbers:
    """Give each member of the sets that pairs connect with the lowest member of its set, which is left out, [M, 2].

    Only for relations that are transitive, as equality is.
    """
    members, places = np.unique(pairs, return_inverse=True)
    one, other = places.reshape(-1, 2).T
    shape = (len(members), len(members))
    _, component = connected_components(coo_array((np.ones(len(one), bool), (one, other)), shape), directed=False)
    lowest = members[np.unique(component, return_index=True)[1]]  # members are ascending
    found = np.stack([members, lowest[component]], 1)
    return found[found[:, 0] != found[:, 1]]
