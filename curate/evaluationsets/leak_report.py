"""What a finished mix, or a folder of images, shares with evaluation sets."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ..decide import image_copies, leaks
from ..mixture import EvaluationSet, FileFilter
from . import collection, external_sets, fingerprint_file
from .fingerprint_file import FingerprintedSet

MAX_PIXELS = 100_000_000


def report(target: Path, against: Sequence[Path], split: str, workers: int) -> dict[str, Any]:
    """Report what `target` shares with each of `against`.

    Args:
        target: a finished mix, of which the training and validation records count, or a folder of images.
        against: fingerprint files, finished mixes, or folders of images.
        split: the evaluation split of the mixes among `against`.
        workers: processes.

    Returns:
        `sets`: name, items and unreadable items of each of `against`; `unreadable`: the unreadable images of `target`;
        `matrix`: as in the manifest; `hits`: each leak, with the record of `target` and the item.

    Raises:
        UsageError: a path cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="medmix-leaks-") as scratch:
        work = Path(scratch)
        sets = [_load_set(path, split, work / f"{place}.parquet", workers) for place, path in enumerate(against)]
        rows, own_images, texts, unreadable = collection.load(target, work, MAX_PIXELS, workers)
        compared = [EvaluationSet(images=file.name) for file in sets]
        external = external_sets.number_items(dict(enumerate(sets)), rows.height, len(own_images.prints))
        images = [image for file in sets for image in file.images]
        copies = image_copies.find(own_images, images, MAX_PIXELS, work / "comparisons", workers)
        matches = leaks.find_matches(rows, rows, compared, texts, copies, external)
    return {
        "target": str(target),
        "records": rows.height,
        "unreadable": [{"id": key, "problem": problem} for key, problem in unreadable],
        "sets": [{"name": file.name, "items": file.items.height, "unreadable": file.unreadable} for file in sets],
        "matrix": leaks.matrix(matches, rows, compared),
        "hits": _hits(matches, rows, external, sets),
    }


def _hits(
    matches: pl.DataFrame, rows: pl.DataFrame, external: leaks.ExternalItems, sets: Sequence[FingerprintedSet]
) -> list[dict[str, Any]]:
    found = (
        matches.filter(pl.col("kind").is_in(leaks.LEAKS))
        .sort("index", "set", "kind")
        .join(rows.select("index", "id"), on="index", maintain_order="left")
        .join(external.items.select(item="index", item_id="id"), on="item", maintain_order="left")
    )
    names = [file.name for file in sets]
    hits = found.select("id", "set", pl.col("item_id").alias("item"), "kind", "score", "transformation")
    return [{**hit, "set": names[hit["set"]]} for hit in hits.iter_rows(named=True)]


def _load_set(path: Path, split: str, out: Path, workers: int) -> FingerprintedSet:
    if fingerprint_file.is_fingerprint_file(path):
        return fingerprint_file.read(path)
    external_sets.fingerprint_set(path, FileFilter(), split, path.resolve().name, out, MAX_PIXELS, workers)
    return fingerprint_file.read(out)
