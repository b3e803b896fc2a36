"""Pairs of related images in a dataset: copies, for the comparison of labels and for splits; parts, for splits."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Literal

import polars as pl
from PIL import Image

from medmix.curate.copies import confirm
from medmix.curate.copies.colour_maps import brightness
from medmix.curate.copies.fingerprints import Fingerprints, Views, view_fingerprints
from medmix.curate.copies.neighbours import candidates
from medmix.curate.decide.comparisons import code_version
from medmix.curate.decide.copy_rule import counts
from medmix.curate.engine import run
from medmix.curate.measure.images import REDUCED_SIDE, decode_reduced
from medmix.curate.mixture import CopyRule
from medmix.curate.progress import track
from medmix.curate.shards import write_text

from .image_cache import IMAGES_PER_TASK, Bytes, ImageCache, image_sources
from .samples import Sample

VERSION = "4"
"""Of this search; cached pairs depend on it and on the code of `curate/copies`."""

_PAIRS = pl.Schema({"one": pl.Int64, "other": pl.Int64, "kind": pl.String, "share": pl.Float64})
"""Related images, `kind` and `share` as in `confirm.Match`."""

PAIRS_PER_TASK = 128
"""Pairs per task of a worker."""


@dataclass(frozen=True, slots=True)
class CopyPairs:
    """Pairs of copies, as indices in the dataset, the smaller first.

    What is confirmed of an image counts for all images with its pixels.

    Attributes:
        pairs: images with equal pixels, and altered copies.
        parts: pairs that are no copies and count as leaks by the default rule of mixtures (`CopyRule`): panels, and
            images that share half of the smaller one. They may have other labels.
        n_unsearchable: images too small or uniform to find altered copies of; only equal pixels were found.
    """

    pairs: tuple[tuple[int, int], ...]
    parts: tuple[tuple[int, int], ...] = ()
    n_unsearchable: int = 0


def find_copies(
    samples: Sequence[Sample],
    images: ImageCache,
    kind: Literal["altered", "exact", "none"],
    cache: Path,
    max_pixels: int,
    workers: int = 1,
) -> CopyPairs:
    """Find the copies in a dataset: equal pixels, and for `altered` what `curate.copies` confirms, parts included."""
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
    related = pl.DataFrame(known["pairs"], _PAIRS, orient="row").filter(counts(CopyRule()))
    contents = [equal[content] for content in images.pixel_digests]
    is_copy = pl.col("kind") == "copy"
    copies = exact | _of_all_equal(related.filter(is_copy), contents)
    parts = _of_all_equal(related.filter(~is_copy), contents) - copies
    return CopyPairs(tuple(sorted(copies)), tuple(sorted(parts)), known["blind"])


def _of_all_equal(related: pl.DataFrame, contents: Sequence[Sequence[int]]) -> set[tuple[int, int]]:
    """Give the pairs of all images with the pixels of related ones; `contents` has the images of those, by image."""
    sides = ((contents[one], contents[other]) for one, other in related.select("one", "other").iter_rows())
    return {(min(pair), max(pair)) for one, other in sides if one is not other for pair in product(one, other)}


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
    found = track(run(_fingerprints, tasks, workers), len(tasks), "find copies")
    views = Views.of([prints for part in found for prints in part])
    proposed = [(one, other) for one, other in candidates(views).tolist()]
    parts = [proposed[start : start + PAIRS_PER_TASK] for start in range(0, len(proposed), PAIRS_PER_TASK)]
    pair_tasks = [
        _PairTask(tuple(part), {index: images[index] for pair in part for index in pair}, max_pixels) for part in parts
    ]
    answers = track(run(_confirm_pairs, pair_tasks, workers), len(pair_tasks), "compare images") if pair_tasks else []
    return {"pairs": [pair for some in answers for pair in some], "blind": int((views.whole["width"] == 0).sum())}


def _fingerprints(task: tuple[tuple[Path | Bytes, ...], int]) -> list[Fingerprints]:
    images, max_pixels = task
    return [view_fingerprints(_to_grayscale(image, max_pixels)) for image in images]


@dataclass(frozen=True, slots=True)
class _PairTask:
    """Pairs for one worker to compare, and their images."""

    pairs: tuple[tuple[int, int], ...]
    images: dict[int, Path | Bytes]
    max_pixels: int


def _confirm_pairs(task: _PairTask) -> list[tuple[int, int, str, float]]:
    """Give the related pairs, as `_PAIRS`."""
    ready = {
        index: confirm.prepare(_to_grayscale(image, task.max_pixels, confirm.SIDE))
        for index, image in task.images.items()
    }
    matches = ((pair, confirm.compare(*(ready[index] for index in pair))) for pair in task.pairs)
    return [(*pair, match.kind, match.share) for pair, match in matches if match.kind != "unrelated"]


def _to_grayscale(image: Path | Bytes, max_pixels: int, side: int = REDUCED_SIDE) -> Bytes:
    if isinstance(image, Path):
        return decode_reduced(image.read_bytes(), max_pixels, side)
    return brightness(Image.fromarray(image))
