"""Copies of one image inside a set: which pairs there are, for splits to keep together and labels to be compared."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from medmix.curate.copies import confirm
from medmix.curate.copies.fingerprints import FINGERPRINT, fingerprint
from medmix.curate.copies.neighbours import candidates
from medmix.curate.engine import run
from medmix.curate.progress import track
from medmix.curate.shards import write_text

from .pictures import CHUNK, Pictures, original
from .sample import Sample, Source

VERSION = "1"
"""Of how copies are sought; another one seeks again."""

WORKING_SIDE = 256
"""Pictures are compared at this size; more adds nothing (`confirm.prepare`)."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Pairs of copies, places in the set, the smaller first.

    Attributes:
        pairs: all of them.
        blind: images on which altered copies cannot be seen (tiny or near-uniform), equal pixels apart.
    """

    pairs: tuple[tuple[int, int], ...]
    blind: int = 0


def find(
    samples: Sequence[Sample],
    pictures: Pictures,
    kind: Literal["altered", "exact", "none"],
    cache: Path,
    max_pixels: int,
    workers: int = 1,
) -> Copies:
    """Find the copies in a set: of equal pixels, and with `altered` those that `curate.copies` confirms."""
    if kind == "none":
        return Copies(())
    exact = _exact(pictures.contents)
    if kind == "exact":
        return Copies(exact)
    path = cache / f"copies-{pictures.digest[:16]}-{VERSION}.json"
    if not path.is_file():
        write_text(path, json.dumps(_altered(samples, max_pixels, workers)))
    known = json.loads(path.read_bytes())
    pairs = {(int(one), int(two)) for one, two in known["pairs"]} | set(exact)
    return Copies(tuple(sorted(pairs)), known["blind"])


def _exact(contents: Sequence[str]) -> tuple[tuple[int, int], ...]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, content in enumerate(contents):
        places[content].append(place)
    return tuple(sorted(pair for same in places.values() for pair in pairwise(same)))


def _altered(samples: Sequence[Sample], max_pixels: int, workers: int) -> dict[str, object]:
    images = [sample.image for sample in samples]
    tasks = [(tuple(images[start : start + CHUNK]), max_pixels) for start in range(0, len(images), CHUNK)]
    prints = np.zeros(len(images), FINGERPRINT)
    at = 0
    for part in track(run(_fingerprints, tasks, workers), len(tasks), "seek copies"):
        prints[at : at + len(part)] = part
        at += len(part)
    proposed = candidates(prints).tolist()
    needed = sorted({place for pair in proposed for place in pair})
    ready = {place: confirm.prepare(_grey(images[place], max_pixels)) for place in needed}
    pairs = [(one, two) for one, two in proposed if confirm.compare(ready[one], ready[two]).same]
    return {"pairs": pairs, "blind": int((prints["width"] == 0).sum())}


def _fingerprints(task: tuple[tuple[Source, ...], int]) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    images, max_pixels = task
    prints = np.zeros(len(images), FINGERPRINT)
    for place, image in enumerate(images):
        prints[place] = fingerprint(np.asarray(original(image, max_pixels).convert("L")))
    return prints


def _grey(image: Source, max_pixels: int) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    small = original(image, max_pixels).convert("L")
    small.thumbnail((WORKING_SIDE, WORKING_SIDE))
    return np.asarray(small)
