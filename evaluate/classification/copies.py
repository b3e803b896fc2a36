"""Pairs of copies of one image in a dataset, for splits and for the comparison of labels."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
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
from medmix.curate.measure.images import decode_reduced
from medmix.curate.progress import track
from medmix.curate.shards import write_text

from .image_cache import IMAGES_PER_TASK, Bytes, ImageCache, image_sources
from .samples import Sample

VERSION = "2"
"""Of this search; cached pairs depend on it and on the code of `curate/copies`."""

PAIRS_PER_TASK = 128
"""Pairs per task of a worker."""


@dataclass(frozen=True, slots=True)
class CopyPairs:
    """Pairs of copies, as indices in the dataset, the smaller first.

    Attributes:
        pairs: all of them; what is confirmed of an image counts for all images with its pixels.
        n_unsearchable: images too small or uniform to find altered copies of; only equal pixels were found.
    """

    pairs: tuple[tuple[int, int], ...]
    n_unsearchable: int = 0


def find_copies(
    samples: Sequence[Sample],
    images: ImageCache,
    kind: Literal["altered", "exact", "none"],
    cache: Path,
    max_pixels: int,
    workers: int = 1,
) -> CopyPairs:
    """Find the copies in a dataset: equal pixels, and for `altered` those that `curate.copies` confirms."""
    if kind == "none":
        return CopyPairs(())
    equal = _equal_images(images.pixel_digests)
    exact = {pair for same in equal.values() for pair in combinations(same, 2)}
    if kind == "exact":
        return CopyPairs(tuple(sorted(exact)))
    path = cache / f"copies-{images.digest[:16]}-{VERSION}-{code_version()}.json"
    if not path.is_file():
        write_text(path, json.dumps(_find_altered(samples, max_pixels, workers)))
    known = json.loads(path.read_bytes())
    sides = ((equal[images.pixel_digests[index]] for index in pair) for pair in known["pairs"])
    altered = {(min(pair), max(pair)) for one, other in sides if one is not other for pair in product(one, other)}
    return CopyPairs(tuple(sorted(exact | altered)), known["blind"])


def _equal_images(contents: Sequence[str]) -> dict[str, list[int]]:
    indices: dict[str, list[int]] = defaultdict(list)
    for index, content in enumerate(contents):
        indices[content].append(index)
    return indices


def _find_altered(samples: Sequence[Sample], max_pixels: int, workers: int) -> dict[str, object]:
    images = image_sources(samples)
    tasks = [
        (tuple(images[start : start + IMAGES_PER_TASK]), max_pixels) for start in range(0, len(images), IMAGES_PER_TASK)
    ]
    prints = np.zeros(len(images), FINGERPRINT)
    at = 0
    for part in track(run(_fingerprints, tasks, workers), len(tasks), "find copies"):
        prints[at : at + len(part)] = part
        at += len(part)
    proposed = [(one, other) for one, other in candidates(prints).tolist()]
    parts = [proposed[start : start + PAIRS_PER_TASK] for start in range(0, len(proposed), PAIRS_PER_TASK)]
    pair_tasks = [
        _PairTask(tuple(part), {index: images[index] for pair in part for index in pair}, max_pixels) for part in parts
    ]
    answers = track(run(_confirm_pairs, pair_tasks, workers), len(pair_tasks), "compare images") if pair_tasks else []
    return {"pairs": [pair for some in answers for pair in some], "blind": int((prints["width"] == 0).sum())}


def _fingerprints(task: tuple[tuple[Path | Bytes, ...], int]) -> npt.NDArray[np.void]:
    images, max_pixels = task
    prints = np.zeros(len(images), FINGERPRINT)
    for index, image in enumerate(images):
        prints[index] = fingerprint(_to_grayscale(image, max_pixels))
    return prints


@dataclass(frozen=True, slots=True)
class _PairTask:
    """Pairs for one worker to compare, and their images."""

    pairs: tuple[tuple[int, int], ...]
    images: dict[int, Path | Bytes]
    max_pixels: int


def _confirm_pairs(task: _PairTask) -> list[tuple[int, int]]:
    ready = {index: confirm.prepare(_to_grayscale(image, task.max_pixels)) for index, image in task.images.items()}
    return [(one, other) for one, other in task.pairs if confirm.compare(ready[one], ready[other]).same]


def _to_grayscale(image: Path | Bytes, max_pixels: int) -> Bytes:
    if isinstance(image, Path):
        return decode_reduced(image.read_bytes(), max_pixels)
    return np.asarray(Image.fromarray(image).convert("L"))
