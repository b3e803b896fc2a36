"""Copies of one image inside a set: which pairs there are, for splits to keep together and labels to be compared."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from medmix.curate.copies import confirm
from medmix.curate.copies.fingerprints import FINGERPRINT, fingerprint
from medmix.curate.copies.neighbours import candidates
from medmix.curate.decide.comparisons import code_version
from medmix.curate.engine import run
from medmix.curate.measure.images import reduced
from medmix.curate.progress import track
from medmix.curate.shards import write_text

from .image_cache import CHUNK, Bytes, Pictures, contents
from .samples import Sample

VERSION = "1"
"""Of how copies are sought here; with the code of `curate/copies` it names what was found."""

PART = 128
"""Pairs that a worker compares at a time."""


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
    path = cache / f"copies-{pictures.digest[:16]}-{VERSION}-{code_version()}.json"
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
    images = contents(samples)
    tasks = [(tuple(images[start : start + CHUNK]), max_pixels) for start in range(0, len(images), CHUNK)]
    prints = np.zeros(len(images), FINGERPRINT)
    at = 0
    for part in track(run(_fingerprints, tasks, workers), len(tasks), "seek copies"):
        prints[at : at + len(part)] = part
        at += len(part)
    proposed = [(one, other) for one, other in candidates(prints).tolist()]
    parts = [proposed[start : start + PART] for start in range(0, len(proposed), PART)]
    questions = [
        _Question(tuple(part), {place: images[place] for pair in part for place in pair}, max_pixels) for part in parts
    ]
    answers = track(run(_compared, questions, workers), len(questions), "compare images") if questions else []
    return {"pairs": [pair for some in answers for pair in some], "blind": int((prints["width"] == 0).sum())}


def _fingerprints(task: tuple[tuple[Path | Bytes, ...], int]) -> npt.NDArray[np.void]:
    images, max_pixels = task
    prints = np.zeros(len(images), FINGERPRINT)
    for place, image in enumerate(images):
        prints[place] = fingerprint(_grey(image, max_pixels))
    return prints


@dataclass(frozen=True, slots=True)
class _Question:
    """Pairs for one worker to compare, and the images that they are of."""

    pairs: tuple[tuple[int, int], ...]
    images: dict[int, Path | Bytes]
    max_pixels: int


def _compared(question: _Question) -> list[tuple[int, int]]:
    ready = {place: confirm.prepare(_grey(image, question.max_pixels)) for place, image in question.images.items()}
    return [(one, other) for one, other in question.pairs if confirm.compare(ready[one], ready[other]).same]


def _grey(image: Path | Bytes, max_pixels: int) -> Bytes:
    if isinstance(image, Path):
        return reduced(image.read_bytes(), max_pixels)
    return np.asarray(Image.fromarray(image).convert("L"))
