"""Fingerprints of many images in unnamed files, mapped to memory: the system takes the pages back when it needs them.

The files are in the folder for temporary files, which `TMPDIR` names; they vanish when they are not used any more.
"""

import tempfile
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .fingerprints import FINGERPRINT, Fingerprints, StackedViews, Views

BLOCK: Final = 65_536
"""Fingerprints that are copied at once."""

Numbers = npt.NDArray[np.int64]


def empty(count: int, dtype: npt.DTypeLike = FINGERPRINT) -> npt.NDArray[Any]:
    """Give an array of zeros in a file, [count]; writing to it writes to the file."""
    if not count:
        return np.zeros(0, dtype)
    with tempfile.TemporaryFile(prefix="medmix-") as file:  # the mapping keeps it
        file.truncate(count * np.dtype(dtype).itemsize)
        return np.memmap(file, dtype, "r+", shape=(count,))


def of_bytes(prints: Iterable[bytes], wholes: int, views: int) -> Views:
    """Collect the bytes of what `view_fingerprints` gives for each of `wholes` images, `views` in all."""
    whole, others = empty(wholes), empty(views - wholes)
    owner = np.zeros(views - wholes, np.int64)
    filled = 0
    for image, data in enumerate(prints):
        found = np.frombuffer(data, FINGERPRINT)
        whole[image] = found[0]
        others[filled : filled + len(found) - 1] = found[1:]
        owner[filled : filled + len(found) - 1] = image
        filled += len(found) - 1
    return Views(whole, others, owner)


def gather(prints: Fingerprints, places: Numbers) -> Fingerprints:
    """Give the fingerprints at some places."""
    taken = empty(len(places))
    for start in range(0, len(places), BLOCK):
        taken[start : start + BLOCK] = prints[places[start : start + BLOCK]]
    return taken


def concatenate(parts: Sequence[Fingerprints]) -> Fingerprints:
    """Give the fingerprints of several arrays in one."""
    joined, filled = empty(sum(map(len, parts))), 0
    for part in parts:
        for start in range(0, len(part), BLOCK):
            block = part[start : start + BLOCK]
            joined[filled + start : filled + start + len(block)] = block
        filled += len(part)
    return joined


def take(views: Views, images: Numbers) -> Views:
    """Give the views of some images, each of which is named once."""
    if np.array_equal(images, np.arange(len(views.whole))):
        return views
    place = np.full(len(views.whole), -1)
    place[images] = np.arange(len(images))
    chosen = np.flatnonzero(place[views.owner] >= 0)
    owner = place[views.owner[chosen]]
    order = np.argsort(owner, kind="stable")
    return Views(gather(views.whole, images), gather(views.others, chosen[order]), owner[order])


def stacked(views: Views) -> StackedViews:
    """Give all views in one array, the wholes first."""
    count = len(views.whole)
    image = np.concatenate([np.arange(count), views.owner])
    is_middle = np.concatenate([np.zeros(count, bool), views.is_middle])
    return StackedViews(concatenate([views.whole, views.others]), image, np.arange(len(image)) >= count, is_middle)


def followed_by(views: Views, more: Views) -> Views:
    """Give the views of some images and then of others."""
    if not len(more.whole):
        return views
    whole, others = concatenate([views.whole, more.whole]), concatenate([views.others, more.others])
    return Views(whole, others, np.concatenate([views.owner, more.owner + len(views.whole)]))
