"""Whether a checkpoint was trained on images of a test, by their bytes.

That is the least there is to check: copies that were encoded anew, cropped or turned are for `medmix leaks`.
"""

from pathlib import Path

from medmix.curate.errors import UsageError
from medmix.train.data import stream

from .prepare import Prepared

COLUMN = "image_sha256"


def trained_on(mix: Path) -> frozenset[str] | None:
    """Give the SHA-256 of the bytes of every image that a mix trains on; None where it is not here any more."""
    try:
        split = stream.open_split(mix, "train")
        return frozenset(digest for row in stream.rows(split, (COLUMN,)) for digest in row.get(COLUMN) or ())
    except UsageError:
        return None


def of_test(ready: Prepared, seen: frozenset[str]) -> list[str]:
    """Give the keys of the test images whose bytes were trained on."""
    originals = ready.pictures.originals
    return [ready.samples[place].key for place in ready.partition.places["test"] if originals[place] in seen]
